/** `sumi segment`: its actions are modules in scripts/segment/. */
import type { Argv, CommandModule } from 'yargs';
import { segmentChange } from './segment/change.js';
import { segmentExample } from './segment/example.js';
import { segmentPredict } from './segment/predict.js';
import { segmentTrain } from './segment/train.js';
import { segmentVideo } from './segment/video.js';

/** Commands of a command; the names are for messages about a wrong command line too. */
export const segment: CommandModule & { readonly actions: readonly CommandModule<object, never>[] } = {
  command: 'segment',
  actions: [
    segmentTrain as CommandModule<object, never>,
    segmentPredict as CommandModule<object, never>,
    segmentChange as CommandModule<object, never>,
    segmentVideo as CommandModule<object, never>,
    segmentExample as CommandModule<object, never>,
  ],
  describe: 'Tell the parts of pictures apart by a classic U-Net: train, predict, compare, follow',
  builder: (yargs: Argv) => {
    for (const action of segment.actions) yargs.command(action);
    return yargs.demandCommand(1, 'no action given');
  },
  handler: () => {},
};
