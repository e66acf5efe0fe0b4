/** Numbers for people. */

/** 950, 12.3 k, 6.47 M */
export function count(n: number): string {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (n >= size) return `${Number((n / size).toPrecision(3))} ${unit}`;
  }
  return String(n);
}

/** 512 B, 88.9 kB, 25.9 MB (powers of ten) */
export function bytes(n: number): string {
  return n < 1e3 ? `${n} B` : `${count(n)}B`;
}

/** 7s, 3m 20s, 2h 05m; "?" when unknown */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '?';
  const s = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  return `${Math.floor(s / 3600)}h ${two(Math.floor((s % 3600) / 60))}m`;
}
