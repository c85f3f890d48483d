/**
 * The fields of `config.json` that all families share, in the dialects of transformers 4 (`rope_theta`, `rope_scaling`,
 * `torch_dtype`) and 5 (`rope_parameters`, `dtype`). A field that changes the computation and is not supported is an error.
 */
import { z } from "zod";

const positive = z.int().positive();
const ids = z.union([z.int(), z.array(z.int())]).nullish();

/** Everything that any kind of scaling reads would change the angles: unknown numbers are refused. */
export const Rope = z.strictObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: positive.optional(),
  partial_rotary_factor: z.literal(1).optional(),
});

/** Llama 3.1 405B has 126; a number from a damaged file should not become a list of names that fills the memory. */
const MAX_LAYERS = 4096;

const dtypes = z.enum(["float32", "float16", "bfloat16"]);

/** Of models stored in 4 bits; what else it holds concerns other kinds of quantisation. */
const Nf4Quantization = z.looseObject({
  quant_method: z.literal("bitsandbytes"),
  load_in_4bit: z.literal(true),
  load_in_8bit: z.literal(false).optional(),
  bnb_4bit_quant_type: z.literal("nf4"),
  bnb_4bit_quant_storage: z.literal("uint8").optional(),
});

/** What the computation depends on, and the one value that is supported where there is only one. */
export const CommonFields = z.looseObject({
  model_type: z.string(),
  vocab_size: positive,
  hidden_size: positive,
  intermediate_size: positive,
  num_hidden_layers: positive.max(MAX_LAYERS),
  num_attention_heads: positive,
  num_key_value_heads: positive.nullish(),
  head_dim: positive.nullish(),
  max_position_embeddings: positive.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: Rope.nullish(),
  rope_parameters: Rope.nullish(),
  tie_word_embeddings: z.boolean().default(false),
  initializer_range: z.number().positive().default(0.02),
  bos_token_id: z.int().nullish(),
  eos_token_id: ids,
  torch_dtype: dtypes.nullish(),
  dtype: dtypes.nullish(),
  hidden_act: z.literal("silu").default("silu"),
  attention_bias: z.literal(false).default(false),
  mlp_bias: z.literal(false).default(false),
  attention_dropout: z.literal(0).nullish(),
  pretraining_tp: z.literal(1).nullish(),
  partial_rotary_factor: z.literal(1).nullish(),
  quantization_config: Nf4Quantization.nullish(),
  sliding_window: z.null().optional(),
  use_sliding_window: z.literal(false).optional(),
  layer_types: z.array(z.literal("full_attention")).nullish(),
  use_mrope: z.literal(false).nullish(),
});

/** Fields known to leave the logits alone. Anything else is refused, because it might not. */
export const HARMLESS = new Set(
  `architectures pad_token_id use_cache transformers_version _name_or_path _attn_implementation_autoset torch_compile
   return_dict output_attentions output_hidden_states id2label label2id problem_type task_specific_params unsloth_version
   unsloth_fixed auto_map model_name tokenizer_class is_decoder is_encoder_decoder chunk_size_feed_forward
   use_return_dict max_sequence_length name_or_path neftune_noise_alpha finetuning_task _flash_attn_2_enabled
   add_cross_attention cross_attention_hidden_size decoder_start_token_id prefix pruned_heads sep_token_id tie_encoder_decoder
   torchscript typical_p top_k top_p temperature repetition_penalty num_beams max_length min_length do_sample early_stopping
   length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size num_beam_groups diversity_penalty num_return_sequences
   bad_words_ids forced_bos_token_id forced_eos_token_id remove_invalid_values exponential_decay_length_penalty
   suppress_tokens begin_suppress_tokens output_scores return_dict_in_generate tf_legacy_loss use_bfloat16`.split(
    /\s+/,
  ),
);
