/** What Sumi uses of WebAssembly, whose types come with the browser's alone. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

interface Api {
  readonly Memory: new (size: { initial: number; maximum: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: Record<string, Record<string, WasmMemory>>,
  ) => { readonly exports: Record<string, (...numbers: number[]) => void> };
}

export const { Memory, Module, Instance } = (globalThis as unknown as { WebAssembly: Api }).WebAssembly;
