/** The work of `sumi doctor`: what it prints, and how it exits. */

import {
  AREAS,
  type CheckpointExamination,
  examineCheckpoint,
  examineMachine,
  type Finding,
  type MachineReport,
} from '../../src/doctor/index.js';
import { RunError } from '../../src/errors.js';
import type { DoctorArgs } from '../doctor.js';
import { requireWhole } from './checks.js';
import { bytes } from './format.js';
import { oneLine, print, printJson } from './report.js';
import { version } from './version.js';

/** Findings by area, the serious ones first. */
function findingLines(findings: readonly Finding[]): string[] {
  return AREAS.flatMap((area) => {
    const own = findings.filter((f) => f.area === area);
    if (own.length === 0) return [];
    const ordered = [...own].sort((a, b) => (a.severity < b.severity ? -1 : a.severity > b.severity ? 1 : 0));
    return [area, ...ordered.map((f) => `  ${f.severity.padEnd(7)}  ${oneLine(f.message)}`)];
  });
}

const plural = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;

function tally(findings: readonly Finding[]): string {
  const errors = findings.filter((f) => f.severity === 'error').length;
  const warnings = findings.length - errors;
  const parts = [errors > 0 && plural(errors, 'error'), warnings > 0 && plural(warnings, 'warning')];
  return parts.filter(Boolean).join(', ');
}

/** An examination as text, without a newline at its end. */
export function examinationText({ path, draws, findings, measured }: CheckpointExamination): string {
  const numbers = [
    ['scaled latents', measured.scaledLatents],
    ['prediction', measured.prediction],
  ].flatMap(([name, value]) => (typeof value === 'number' ? [`${name} ±${value.toPrecision(3)}`] : []));
  const verdict = draws ? 'draws' : 'would not draw as it should';
  const found = findings.length === 0 ? 'nothing wrong' : tally(findings);
  return [
    oneLine(`${path}: ${verdict}, ${found}`),
    ...(numbers.length > 0 ? [`  ${numbers.join(', ')}`] : []),
    ...findingLines(findings),
  ].join('\n');
}

/** A machine as text, without a newline at its end. */
export function machineText(report: MachineReport & { readonly sumi: string }): string {
  const { cpu, memory, disk, versions, engines, findings } = report;
  const rows: [string, string][] = [
    ['sumi', report.sumi],
    ['node', `${report.node}, ${report.platform}`],
    ['cpu', `${cpu.model}, ${cpu.threads} of ${cpu.cores} threads`],
    ...(cpu.features.length > 0 ? [['', cpu.features.join(' ')] as [string, string]] : []),
    ['memory', `${bytes(memory.available)} of ${bytes(memory.total)} available`],
    ['disk', `${bytes(disk.free)} free in ${disk.folder}`],
    ...Object.entries(versions).map(([name, found]): [string, string] => [name, found ?? 'not installed']),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    ...rows.map(([name, value]) => `${name.padEnd(width)}  ${oneLine(value)}`),
    'engines',
    ...engines.map(({ engine, reason }) => `  ${engine.padEnd(10)}  ${oneLine(reason ?? 'runs')}`),
    ...findingLines(findings),
  ].join('\n');
}

/** @throws RunError when what was examined is not sound; what was found is printed before */
export async function runDoctor({ model, threads, json }: DoctorArgs): Promise<void> {
  requireWhole({ threads }, ['threads']);
  if (model === undefined) {
    const report = { sumi: version(), ...(await examineMachine()) };
    if (json) printJson(report);
    else print(machineText(report));
    if (!report.ready) throw new RunError(`${tally(report.findings)} — this machine — mend what is listed`);
    return;
  }
  const found = await examineCheckpoint(model, { threads });
  if (json) printJson(found);
  else print(examinationText(found));
  if (!found.draws) throw new RunError(`${tally(found.findings)} — ${found.path} — mend what is listed`);
}
