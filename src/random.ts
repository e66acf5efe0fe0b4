// placeholder interface; see helper
export interface Random {
  uniform(n: number): Float32Array;
  normal(n: number): Float32Array;
}
