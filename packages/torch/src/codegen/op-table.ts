/**
 * Every operator that has a typed function. One line each: its name here, its ATen overloads, what it computes. Argument
 * names, types and defaults come from libtorch's own schemas (`generate.ts`). A second overload may differ from the first in
 * taking a number where that takes a tensor; one function then serves both.
 *
 * Operators without a line here are still reachable: `torch.callOperator("aten::name.overload", ...)`.
 */
export interface OpEntry {
  readonly name: string;
  readonly overloads: readonly string[];
  readonly doc: string;
}

/** Methods of Tensor. Names that end in an underscore change the tensor in place and return it. */
export const METHODS: readonly OpEntry[] = entries(`
  add          add.Tensor add.Scalar        self + alpha * other
  add_         add_.Tensor add_.Scalar      self += alpha * other
  sub          sub.Tensor sub.Scalar        self - alpha * other
  sub_         sub_.Tensor sub_.Scalar      self -= alpha * other
  mul          mul.Tensor mul.Scalar        elementwise product
  mul_         mul_.Tensor mul_.Scalar      elementwise product, in place
  div          div.Tensor div.Scalar        elementwise quotient
  div_         div_.Tensor div_.Scalar      elementwise quotient, in place
  remainder    remainder.Tensor remainder.Scalar   remainder with the sign of the divisor
  pow          pow.Tensor_Tensor pow.Tensor_Scalar elementwise power
  neg          neg                          -self
  abs          abs                          absolute value
  sign         sign                         -1, 0 or 1
  exp          exp                          e to the power of self
  log          log                          natural logarithm
  log1p        log1p                        log(1 + self), exact for small self
  sqrt         sqrt                         square root
  rsqrt        rsqrt                        reciprocal square root
  reciprocal   reciprocal                   1 / self
  sin          sin                          sine
  cos          cos                          cosine
  tanh         tanh                         hyperbolic tangent
  sigmoid      sigmoid                      1 / (1 + exp(-self))
  floor        floor                        largest integer not above self
  round        round                        nearest integer, halves to even
  clamp        clamp                        limits self to [min, max]
  clamp_       clamp_                       limits self to [min, max], in place
  lerp_        lerp_.Tensor lerp_.Scalar    self += weight * (end - self)
  addcmul_     addcmul_                     self += value * tensor1 * tensor2
  addcdiv_     addcdiv_                     self += value * tensor1 / tensor2
  eq           eq.Tensor eq.Scalar          elementwise equality
  ne           ne.Tensor ne.Scalar          elementwise inequality
  lt           lt.Tensor lt.Scalar          self < other
  le           le.Tensor le.Scalar          self <= other
  gt           gt.Tensor gt.Scalar          self > other
  ge           ge.Tensor ge.Scalar          self >= other
  maximum      maximum                      elementwise larger value
  minimum      minimum                      elementwise smaller value
  logicalNot   logical_not                  not self
  logicalAnd   logical_and                  self and other
  logicalOr    logical_or                   self or other
  bitwiseAnd   bitwise_and.Tensor bitwise_and.Scalar   bits of both
  isnan        isnan                        true where NaN
  isfinite     isfinite                     true where neither NaN nor infinite
  equal        equal                        same shape and same values
  allclose     allclose                     |self - other| <= atol + rtol * |other| everywhere
  sum          sum.dim_IntList              sum over dimensions (all of them when left out)
  mean         mean.dim                     mean over dimensions (all of them when left out)
  prod         prod                         product of all elements
  var          var.correction               variance over dimensions
  std          std.correction               standard deviation over dimensions
  amax         amax                         largest value over dimensions
  amin         amin                         smallest value over dimensions
  argmax       argmax                       index of the largest value
  argmin       argmin                       index of the smallest value
  any          any                          true if any element is
  all          all                          true if all elements are
  cumsum       cumsum                       running sum along a dimension
  logsumexp    logsumexp                    log of the sum of exponentials over dimensions
  softmax      softmax.int                  exp(self) normalised along a dimension
  logSoftmax   log_softmax.int              logarithm of the softmax along a dimension
  topk         topk                         the k largest values along a dimension and their indices
  sort         sort                         values along a dimension in order, and their indices
  argsort      argsort                      indices that sort along a dimension
  multinomial  multinomial                  indices drawn with probabilities self
  norm         linalg_vector_norm           vector norm of order ord over dimensions
  matmul       matmul                       matrix product, batched by broadcasting
  mm           mm                           product of two matrices
  addmm_       addmm_                       self = beta * self + alpha * mat1 @ mat2
  bmm          bmm                          batched matrix product
  view         view                         same memory in another shape
  reshape      reshape                      another shape, copied when it has to be
  flatten      flatten.using_ints           dimensions startDim to endDim merged into one
  unflatten    unflatten.int                one dimension split into several
  permute      permute                      dimensions in another order
  transpose    transpose.int                two dimensions exchanged
  t            t                            transposed matrix
  contiguous   contiguous                   row-major in memory, copied when it is not
  expand       expand                       broadcast to a larger size without copying
  expandAs     expand_as                    broadcast to the size of another tensor
  repeat       repeat                       repeated along each dimension
  repeatInterleave repeat_interleave.self_int  each element repeated along a dimension
  squeeze      squeeze.dim                  a dimension of size 1 removed
  unsqueeze    unsqueeze                    a dimension of size 1 inserted
  narrow       narrow                       length elements of a dimension from start, sharing memory
  slice        slice.Tensor                 elements of a dimension from start to end, sharing memory
  select       select.int                   one index of a dimension, sharing memory
  split        split_with_sizes             pieces of the given sizes along a dimension
  chunk        chunk                        pieces of equal size along a dimension
  unbind       unbind.int                   one tensor for each index of a dimension
  gather       gather                       elements at index along a dimension
  indexSelect  index_select                 rows (along a dimension) at index
  index        index.Tensor                 elements at tuples of index tensors
  indexCopy_   index_copy_                  rows at index replaced by source
  indexAdd_    index_add_                   source added to the rows at index
  scatter_     scatter_.src scatter_.value  elements at index along a dimension replaced
  scatterAdd_  scatter_add_                 src added to the elements at index along a dimension
  maskedFill   masked_fill.Tensor masked_fill.Scalar    value where mask is true
  maskedFill_  masked_fill_.Tensor masked_fill_.Scalar  value where mask is true, in place
  maskedSelect masked_select                elements where mask is true, flat
  nonzero      nonzero                      coordinates of elements that are not zero
  tril         tril                         lower triangle
  triu         triu                         upper triangle
  flip         flip                         reversed along dimensions
  roll         roll                         rotated along dimensions
  to           to.dtype_layout              same values with another dtype or on another device; shares memory when nothing changes
  clone        clone                        a copy
  detach       detach                       same memory, cut from the gradient graph
  copy_        copy_                        values of src, converted and broadcast
  fill_        fill_.Scalar                 every element set to a number
  zero_        zero_                        every element set to zero
  normal_      normal_                      filled from a normal distribution
  uniform_     uniform_                     filled from a uniform distribution
  bernoulli_   bernoulli_.float             filled with 1 at probability p, else 0
  exponential_ exponential_                 filled from an exponential distribution
`);

/** Free functions. */
export const FUNCTIONS: readonly OpEntry[] = entries(`
  empty        empty.memory_format          uninitialised
  zeros        zeros                        filled with zero
  ones         ones                         filled with one
  full         full                         filled with one value, float32 unless dtype says otherwise
  zerosLike    zeros_like                   zeros of another tensor's shape, dtype and device
  onesLike     ones_like                    ones of another tensor's shape, dtype and device
  emptyLike    empty_like                   uninitialised, of another tensor's shape, dtype and device
  fullLike     full_like                    one value in another tensor's shape, dtype and device
  arange       arange.start_step            start, start + step, ... below end; int64 when all are whole numbers
  eye          eye                          identity matrix
  rand         rand                         uniform in [0, 1)
  randn        randn                        standard normal
  randint      randint.low                  integers from low to high - 1
  randperm     randperm                     a random permutation of 0 ... n - 1
  cat          cat                          tensors joined along a dimension
  stack        stack                        tensors joined along a new dimension
  where        where.self where.ScalarOther self where condition is true, else other
  einsum       einsum                       sum of products, by an equation such as "ij,jk->ik"
  outer        outer                        outer product of two vectors
  linear       camelid::linear              x @ weight.T + bias; bf16 rows of a CPU that are few in a pass of their own (native/few-rows.cc)
  embedding    embedding                    rows of weight at indices
  dropout      dropout                      elements zeroed with probability p and the rest scaled up, when train is true
  relu         relu                         max(input, 0)
  silu         silu                         x * sigmoid(x)
  gelu         gelu                         x * Phi(x)
  softplus     softplus                     log(1 + exp(x)), smooth and exact
  logSigmoid   log_sigmoid                  log(sigmoid(x)), exact for large negative x
  rmsNorm      rms_norm                     input / rms(input) * weight
  layerNorm    layer_norm                   (input - mean) / std * weight + bias
  crossEntropyLoss cross_entropy_loss       negative log-likelihood of target classes under logits
  nllLoss      nll_loss                     negative log-likelihood under log-probabilities
  mseLoss      mse_loss                     squared difference
  scaledDotProductAttention scaled_dot_product_attention softmax(query @ key.T * scale + mask) @ value
  fusedAdamw_  _fused_adamw_                one AdamW step on lists of tensors, in place
  fusedRmsNorm camelid::rms_norm            x / sqrt(mean(x^2) + eps), rounded to x's dtype, times weight; one pass (native/fused.cc)
  packedAttention camelid::packed_attention causal attention inside rows of a packed stretch [tokens, heads, size], CPU
  pagedAttention camelid::paged_attention   causal attention of new tokens over keys and values in blocks, which take the new ones (native/paged-attention.cc)
  pagedDecode  camelid::paged_decode        the same for one new token of each row, with shapes that do not depend on lengths (native/paged-decode.cc)
  sampleOnDevice camelid::sample_on_device  the next tokens, chosen where the logits are; -1 where they are no numbers
  sampleRows   camelid::sample_rows         next token of each row of logits, by temperature, top-p and top-k (native/sample.cc)
  fusedRope    camelid::rope                rotate-half rotary embedding of [tokens, heads, headDim], tables [tokens, headDim / 2] fp32
  labelLogps_  camelid::label_logps         log softmax(logits)[label] per row, fp32; with upstream [rows], logits become their own gradient
  fusedSwiglu  camelid::swiglu              silu(gate) * up in one pass
  nf4Quantize  camelid::nf4_quantize        4-bit codes, two a byte, and the largest magnitude of each 64 values (native/nf4.cc)
  nf4Dequantize camelid::nf4_dequantize     values of NF4 codes; with nestedAbsmax, absmax are 8-bit codes themselves
  nf4Linear    camelid::nf4_linear          x @ W.T + bias for W [outFeatures, in] in NF4; a few rows on CUDA without restoring W
  dynamicQuantize camelid::dynamic_quantize 8-bit codes of values less offset, and the largest magnitude of each block
  dynamicDequantize camelid::dynamic_dequantize values of such codes, plus offset
  dynamicMap   camelid::dynamic_map         the 256 values of the 8-bit code
  adamw_       camelid::adamw               one AdamW step on lists of tensors on the CPU, in place: gradients times clip, rounded copies of fp32 weights (native/adamw.cc)
  gradientNorm camelid::gradient_norm       2-norm of all tensors of a list together, fp32 on the CPU
  adamw8bit_   camelid::adamw_8bit          one AdamW step whose moments are kept in 8 bits, in place (native/adamw8bit.cc); where foundInf is not 0, none
  foreachNorm  _foreach_norm.Scalar         norm of each tensor of a list
  foreachMul_  _foreach_mul_.Tensor         each tensor of a list times one scalar tensor, in place
`);

function entries(table: string): OpEntry[] {
  return table
    .trim()
    .split("\n")
    .map((line) => {
      // The documentation starts after the last word that can be an overload: two spaces or more set the columns apart.
      const [name, rest] = splitOnce(line.trim(), /\s+/);
      const [overloads, doc] = splitOverloads(rest);
      return { name, overloads, doc };
    });
}

function splitOnce(text: string, separator: RegExp): [string, string] {
  const match = separator.exec(text)!;
  return [text.slice(0, match.index), text.slice(match.index + match[0].length)];
}

function splitOverloads(text: string): [string[], string] {
  const [first, rest] = splitOnce(text, /\s+/);
  const second = /^([a-z_]+\.(?:Scalar\w*|Tensor_Scalar|value))\s+(.*)$/.exec(rest);
  return second === null ? [[first], rest] : [[first, second[1]!], second[2]!];
}
