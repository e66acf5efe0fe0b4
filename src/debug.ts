/** Whether SUMI_DEBUG (a comma-separated list: graph, time, stack, ...; 1 means all) asks for a topic. */
export function debug(topic: string): boolean {
  const wanted = (process.env.SUMI_DEBUG ?? '').split(',').map((s) => s.trim());
  return wanted.includes(topic) || wanted.includes('1');
}
