/** A process that runs one case on one side, asked for runs line by line. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

interface Answer {
  readonly buildMs?: number;
  readonly probe?: number[];
  readonly ms?: number[];
  readonly rssMb?: number;
}

export class Worker {
  readonly ms: number[] = [];
  rssMb = 0;
  buildMs = 0;
  /** Numbers that tell whether both sides computed the same. */
  probe: number[] = [];
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;
  private readonly reader: Interface;
  private stderr = '';

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args);
    this.child.stderr.on('data', (data) => {
      this.stderr = (this.stderr + data).slice(-2000);
    });
    this.reader = createInterface({ input: this.child.stdout });
    this.lines = this.reader[Symbol.asyncIterator]();
  }

  private async answer(): Promise<Answer> {
    const { value, done } = await this.lines.next();
    if (done) throw new Error(this.stderr.match(/^.*Error.*$/m)?.[0] ?? 'the worker stopped');
    return JSON.parse(value) as Answer;
  }

  /** Until it is built and has run once. */
  async ready(): Promise<void> {
    const { buildMs = 0, probe = [] } = await this.answer();
    this.buildMs = buildMs;
    this.probe = probe;
  }

  async time(runs: number, keep = true): Promise<void> {
    this.child.stdin.write(`${runs}\n`);
    const { ms = [], rssMb = 0 } = await this.answer();
    if (keep) this.ms.push(...ms);
    this.rssMb = rssMb;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.stdin.end();
    await exit;
    this.reader.close();
  }
}
