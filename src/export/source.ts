/** The checkpoint that is to be exported. */
import { InputError } from '../errors.js';
import { type LoadedModel, loadModel } from '../pipelines/model.js';

/** @throws InputError when the checkpoint is no good, or draws from texts, whose encoder has no file of its own yet */
export async function loadSource(nameOrDir: string): Promise<LoadedModel> {
  const model = await loadModel(nameOrDir);
  if (model.text) {
    throw new InputError(
      `models that draw from texts are not exported — ${model.dir} — use one with a UNet2DModel`,
    );
  }
  return model;
}
