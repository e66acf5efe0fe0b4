/** Drawing as something to loop over. */
import type { GeneratedPicture, GenerateOptions, StepProgress } from './diffusion-pipeline.js';

/** A call of the model for one of the pictures: how far it is, and what it looks like from there. */
export interface StepDone extends StepProgress {
  readonly kind: 'step';
}

/** A picture that is done. */
export interface PictureDone {
  readonly kind: 'picture';
  /** Which one, from 0. */
  readonly picture: number;
  readonly result: GeneratedPicture;
}

/** What `for await` over `pipeline.steps()` gives. */
export type GenerationEvent = StepDone | PictureDone;

type Hooks = Pick<GenerateOptions, 'onStep' | 'onPicture' | 'signal'>;

/**
 * Turns a run that tells of its progress by callbacks into a generator. The run waits in each callback until the loop
 * asks for more, so nothing is computed ahead.
 * @param run draws, with these callbacks and this signal
 * @param outer the caller's own callbacks, which are called too, and signal
 */
export async function* generationEvents(
  run: (hooks: Hooks) => Promise<unknown>,
  outer: Hooks = {},
): AsyncGenerator<GenerationEvent, void, undefined> {
  const left = new AbortController();
  const signal = outer.signal ? AbortSignal.any([outer.signal, left.signal]) : left.signal;
  let offer!: (event: GenerationEvent | null) => void;
  let offered!: Promise<GenerationEvent | null>;
  let goOn: () => void = () => {};
  const renew = () => {
    offered = new Promise((resolve) => {
      offer = resolve;
    });
  };
  renew();
  const hand = (event: GenerationEvent): Promise<void> =>
    new Promise((resolve) => {
      goOn = resolve;
      offer(event);
    });
  let pictures = 0;
  const running = run({
    signal,
    onStep: async (progress) => {
      await outer.onStep?.(progress);
      await hand({ kind: 'step', ...progress });
    },
    onPicture: async (result) => {
      await outer.onPicture?.(result);
      await hand({ kind: 'picture', picture: pictures++, result });
    },
  });
  running.then(
    () => offer(null),
    () => offer(null),
  );
  try {
    for (;;) {
      const event = await offered;
      if (event === null) break;
      renew();
      yield event;
      goOn();
    }
    await running;
  } finally {
    // The loop was left: the run stops at its next step, and is not left behind to work on.
    left.abort();
    goOn();
    await running.catch(() => {});
  }
}
