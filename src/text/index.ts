/** Prompts to what a network is told of them: CLIP's tokenizer and text encoder. */
export { clipText, clipTextName, clipTextSpecs } from './clip.js';
export {
  CLIP_TEXT_CLASS_NAME,
  type ClipTextConfig,
  type ClipTextInput,
  parseClipTextConfig,
} from './config.js';
export { type AddedToken, ClipTokenizer, type TokenizerData } from './tokenizer.js';
export { readClipTokenizer } from './tokenizer-files.js';
