;; One update of AdamW and of the moving average of the weights, in place, four numbers at a time: `adamW` of adamw.ts.
;; `npm run build:wasm` makes adamw-binary.ts of it.
(module
  (memory (import "train" "memory") 1 65536)
  (func (export "update")
    ;; addresses of the vectors, of the nine coefficients, and of the first vector's end; the vectors are multiples of
    ;; 16 bytes and at least one
    (param $params i32) (param $m i32) (param $v i32) (param $ema i32) (param $grads i32)
    (param $coefficients i32) (param $end i32)
    (local $beta1 v128) (local $gain1 v128) (local $beta2 v128) (local $gain2 v128) (local $epsilon v128)
    (local $rate v128) (local $keep v128) (local $decay v128) (local $renewal v128)
    (local $g v128) (local $first v128) (local $second v128) (local $next v128)
    (local.set $beta1 (v128.load32_splat offset=0 (local.get $coefficients)))
    (local.set $gain1 (v128.load32_splat offset=4 (local.get $coefficients)))
    (local.set $beta2 (v128.load32_splat offset=8 (local.get $coefficients)))
    (local.set $gain2 (v128.load32_splat offset=12 (local.get $coefficients)))
    (local.set $epsilon (v128.load32_splat offset=16 (local.get $coefficients)))
    (local.set $rate (v128.load32_splat offset=20 (local.get $coefficients)))
    (local.set $keep (v128.load32_splat offset=24 (local.get $coefficients)))
    (local.set $decay (v128.load32_splat offset=28 (local.get $coefficients)))
    (local.set $renewal (v128.load32_splat offset=32 (local.get $coefficients)))
    (loop $four
      (local.set $g (v128.load (local.get $grads)))
      ;; m = beta1·m + gain1·g
      (local.set $first
        (f32x4.add
          (f32x4.mul (v128.load (local.get $m)) (local.get $beta1))
          (f32x4.mul (local.get $g) (local.get $gain1))))
      (v128.store (local.get $m) (local.get $first))
      ;; v = beta2·v + gain2·g²
      (local.set $second
        (f32x4.add
          (f32x4.mul (v128.load (local.get $v)) (local.get $beta2))
          (f32x4.mul (f32x4.mul (local.get $g) (local.get $g)) (local.get $gain2))))
      (v128.store (local.get $v) (local.get $second))
      ;; params = keep·params - rate·m / (√v + epsilon)
      (local.set $next
        (f32x4.sub
          (f32x4.mul (v128.load (local.get $params)) (local.get $keep))
          (f32x4.div
            (f32x4.mul (local.get $first) (local.get $rate))
            (f32x4.add (f32x4.sqrt (local.get $second)) (local.get $epsilon)))))
      (v128.store (local.get $params) (local.get $next))
      ;; ema = decay·ema + renewal·params
      (v128.store (local.get $ema)
        (f32x4.add
          (f32x4.mul (v128.load (local.get $ema)) (local.get $decay))
          (f32x4.mul (local.get $next) (local.get $renewal))))
      (local.set $params (i32.add (local.get $params) (i32.const 16)))
      (local.set $m (i32.add (local.get $m) (i32.const 16)))
      (local.set $v (i32.add (local.get $v) (i32.const 16)))
      (local.set $ema (i32.add (local.get $ema) (i32.const 16)))
      (local.set $grads (i32.add (local.get $grads) (i32.const 16)))
      (br_if $four (i32.lt_u (local.get $params) (local.get $end))))))
