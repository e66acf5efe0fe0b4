/** How strongly a file wants its layers, where it says so beside the tensors: PEFT's configuration. */
import type { JsonObject, JsonValue } from '../checkpoint/json.js';
import { InputError } from '../errors.js';
import type { LoraComponent } from './names.js';

/** PEFT's settings that change what is computed. */
export interface LoraSettings {
  /** Alpha of the layers that no pattern names; null: as large as the rank, a factor of 1. */
  readonly alpha: number | null;
  /** Alphas of single layers: the first pattern that is the name's end decides. */
  readonly patterns: readonly (readonly [RegExp, number])[];
  /** Whether alpha is divided by the rank's root (Kalajdzievski 2023, "rsLoRA") in place of the rank. */
  readonly rootOfRank: boolean;
}

const NONE: LoraSettings = { alpha: null, patterns: [], rootOfRank: false };

const objectOf = (value: JsonValue | undefined): JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};

/**
 * Reads PEFT's configuration of one network.
 * @param config content of adapter_config.json, or what diffusers keeps of it in the file's header
 * @param where the file, for messages
 * @throws InputError for adapters of a kind that does not merge as LoRA does
 */
export function parseLoraSettings(config: JsonObject, where: string): LoraSettings {
  const kind = config.peft_type ?? 'LORA';
  if (kind !== 'LORA')
    throw new InputError(`an adapter of kind ${JSON.stringify(kind)} — ${where} — use a LoRA file`);
  if (config.use_dora === true)
    throw new InputError(`DoRA weights are not supported — ${where} — use a plain LoRA file`);
  const patterns = Object.entries(objectOf(config.alpha_pattern)).flatMap(([pattern, alpha]) =>
    typeof alpha === 'number' ? [[endOf(pattern), alpha] as const] : [],
  );
  return {
    alpha: typeof config.lora_alpha === 'number' ? config.lora_alpha : null,
    patterns,
    rootOfRank: config.use_rslora === true,
  };
}

/** PEFT matches whole names, or what follows a dot in them. A pattern that is no expression is a name. */
function endOf(pattern: string): RegExp {
  try {
    return new RegExp(`^(.*\\.)?(${pattern})$`);
  } catch {
    return new RegExp(`^(.*\\.)?${pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
  }
}

/** Where diffusers keeps PEFT's configurations, all networks' in one, each key behind its network's name. */
const HEADER = 'lora_adapter_metadata';

/**
 * The settings in a file's header.
 * @throws InputError when they are damaged, or of another kind of adapter
 */
export function settingsOfHeader(
  metadata: Readonly<Record<string, string>>,
  component: LoraComponent,
  where: string,
): LoraSettings {
  const text = metadata[HEADER];
  if (text === undefined) return NONE;
  let all: JsonObject;
  try {
    all = objectOf(JSON.parse(text) as JsonValue);
  } catch {
    throw new InputError(`${HEADER} of the header is not JSON — ${where} — fetch the file again`);
  }
  const prefix = `${component}.`;
  const own = Object.entries(all).flatMap(([key, value]) =>
    key.startsWith(prefix) ? [[key.slice(prefix.length), value] as const] : [],
  );
  return parseLoraSettings(Object.fromEntries(own), where);
}

/**
 * What B·A is multiplied by.
 * @param stored the tensor `.alpha` of the layer, if the file has one
 * @param module name of the layer
 */
export function factorOf(
  settings: LoraSettings,
  module: string,
  rank: number,
  stored: number | undefined,
): number {
  const named = settings.patterns.find(([pattern]) => pattern.test(module));
  const alpha = stored ?? named?.[1] ?? settings.alpha ?? rank;
  return alpha / (settings.rootOfRank ? Math.sqrt(rank) : rank);
}
