/**
 * The names that LoRA files give their tensors. A name is a module of the network and a part of its pair; every program
 * that trains them spells both in a way of its own.
 */
import { currentName } from '../checkpoint/load.js';
import type { ParamSpec } from '../engine/params.js';
import { clipTextName } from '../text/index.js';

/** The networks that a file can change, called as in a pipeline's folder. */
export type LoraComponent = 'unet' | 'text_encoder';

/** `down` is A, [rank, in]; `up` is B, [out, rank]; `alpha` is a number. */
export type LoraRole = 'down' | 'up' | 'alpha';

/** What a tensor of a file is. */
export interface LoraKey {
  readonly role: LoraRole;
  /** The weight that it changes, by its name in the network. */
  readonly parameter: string;
  readonly component: LoraComponent;
}

/** How the programs end their names, in place of `.weight`. */
const ENDINGS: readonly [RegExp, LoraRole][] = [
  // PEFT, whose own files may name the adapter.
  [/\.lora_A(\.default)?\.weight$/, 'down'],
  [/\.lora_B(\.default)?\.weight$/, 'up'],
  // kohya-ss.
  [/\.lora_down\.weight$/, 'down'],
  [/\.lora_up\.weight$/, 'up'],
  // diffusers before it left the work to PEFT: layers inside an attention's processor, and beside linear layers.
  [/(\.lora|_lora|\.lora_linear_layer)\.down\.weight$/, 'down'],
  [/(\.lora|_lora|\.lora_linear_layer)\.up\.weight$/, 'up'],
  [/(_lora|\.lora)?\.alpha$/, 'alpha'],
];

/** Prefixes of dotted names; without one it may be either network's. */
const DOTTED: readonly [string, LoraComponent | null][] = [
  ['base_model.model.', null],
  ['unet.', 'unet'],
  ['text_encoder.', 'text_encoder'],
];

/** Prefixes of kohya-ss, whose names have _ for every dot. */
const FLAT: readonly [string, LoraComponent][] = [
  ['lora_unet_', 'unet'],
  ['lora_te1_', 'text_encoder'],
  ['lora_te_', 'text_encoder'],
];

/** The layers that can be changed: those with a weight of two axes or more. */
export type LoraTargets = Readonly<Record<LoraComponent, readonly ParamSpec[]>>;

/** Knows the names of every layer of a model. */
export class LoraNames {
  private readonly modules: Readonly<Record<LoraComponent, ReadonlyMap<string, string>>>;
  private readonly flat: Readonly<Record<LoraComponent, ReadonlyMap<string, string>>>;

  constructor(targets: LoraTargets) {
    const of = (component: LoraComponent, spell: (module: string) => string) =>
      new Map(
        targets[component].flatMap(({ name, shape }): [string, string][] =>
          name.endsWith('.weight') && shape.length >= 2 ? [[spell(name.slice(0, -7)), name]] : [],
        ),
      );
    const all = (spell: (module: string) => string) => ({
      unet: of('unet', spell),
      text_encoder: of('text_encoder', spell),
    });
    this.modules = all((module) => module);
    // Made from the network's names: the way back, from _ to dots, would have to be guessed.
    this.flat = all((module) => module.replaceAll('.', '_'));
  }

  /** What a tensor of a file is; null when it belongs to nothing of the model. */
  read(key: string): LoraKey | null {
    const ending = ENDINGS.find(([pattern]) => pattern.test(key));
    if (!ending) return null;
    const [pattern, role] = ending;
    const module = key.replace(pattern, '');
    const flat = FLAT.find(([prefix]) => module.startsWith(prefix));
    if (flat) {
      const [prefix, component] = flat;
      const parameter = this.flat[component].get(module.slice(prefix.length));
      return parameter === undefined ? null : { role, parameter, component };
    }
    return this.dotted(module, role);
  }

  private dotted(module: string, role: LoraRole): LoraKey | null {
    let rest = module;
    let named: LoraComponent | null = null;
    for (const [prefix, component] of DOTTED) {
      if (!rest.startsWith(prefix)) continue;
      rest = rest.slice(prefix.length);
      named ??= component;
    }
    for (const component of named === null ? (['unet', 'text_encoder'] as const) : [named]) {
      const parameter = this.modules[component].get(moduleOf(rest, component));
      if (parameter !== undefined) return { role, parameter, component };
    }
    return null;
  }
}

/** A module's name as it is today, under which the network knows it. */
export function moduleOf(name: string, component: LoraComponent): string {
  if (component === 'unet') {
    const plain = name.replaceAll('.processor.', '.').replace(/\.to_out$/, '.to_out.0');
    return currentName(`${plain}.`).slice(0, -1);
  }
  const plain = name.replace(
    /\.self_attn\.to_(q|k|v|out)$/,
    (_, which: string) => `.self_attn.${which}_proj`,
  );
  return clipTextName(plain) ?? plain;
}
