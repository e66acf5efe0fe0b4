/** The texts of the command line, for models that draw from texts. */
import type { DiffusionPipeline, PromptOptions } from '../../src/pipelines/index.js';
import { warn } from './report.js';

/** What `--prompt` and `--negative` make of a command's arguments. */
export interface PromptArgs {
  prompt?: string;
  negative?: string;
}

export function promptOptions({ prompt, negative }: PromptArgs): PromptOptions {
  return { prompt, negativePrompt: negative };
}

/** What a picture's recipe says of its texts; warns of one that the model reads only in part. */
export function promptFacts({ model }: DiffusionPipeline, argv: PromptArgs): Record<string, string> {
  if (!model.text) return {};
  const facts = { prompt: argv.prompt ?? '', negativePrompt: argv.negative ?? '' };
  const { tokenizer } = model.text;
  for (const [option, text] of [
    ['--prompt', facts.prompt],
    ['--negative', facts.negativePrompt],
  ]) {
    const count = tokenizer.tokens(text).length;
    if (count > tokenizer.room)
      warn(`the text has ${count} tokens, the model reads the first ${tokenizer.room} — ${option}`);
  }
  return facts;
}
