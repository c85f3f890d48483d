import { z } from "zod";

/**
 * The pipeline of a tokenizer.json, as far as it is read here and not by the native library: nested stages, and the ids
 * that a post-processor puts around a text.
 */
export interface Stage {
  type: string;
  [key: string]: unknown;
}

/** Tables are made by id: a damaged number should not become one that fills the memory. Real ids stay below 2^19. */
export const MAX_ID = 2 ** 22;
export const IdSchema = z.int().min(0).max(MAX_ID);

/** A stage of another type than those that have a shape of their own here. */
const otherThan = (...types: string[]): z.ZodType<Stage> =>
  z.looseObject({ type: z.string().refine((type) => !types.includes(type)) });

export const NormalizerSchema: z.ZodType<Stage> = z.lazy(() =>
  z.union([
    z.looseObject({ type: z.literal("Sequence"), normalizers: z.array(NormalizerSchema) }),
    otherThan("Sequence"),
  ]),
);

export const PreTokenizerSchema: z.ZodType<Stage> = z.lazy(() =>
  z.union([
    z.looseObject({ type: z.literal("Sequence"), pretokenizers: z.array(PreTokenizerSchema) }),
    otherThan("Sequence"),
  ]),
);

const TemplatePieceSchema = z.union([
  z.looseObject({ SpecialToken: z.looseObject({ id: z.string() }) }),
  z.looseObject({ Sequence: z.looseObject({ id: z.string() }) }),
]);
const TokenPairSchema = z.tuple([z.string(), IdSchema]);

export const PostProcessorSchema: z.ZodType<Stage> = z.lazy(() =>
  z.union([
    z.looseObject({ type: z.literal("Sequence"), processors: z.array(PostProcessorSchema) }),
    z.looseObject({
      type: z.literal("TemplateProcessing"),
      single: z.array(TemplatePieceSchema).refine((pieces) => pieces.some((piece) => "Sequence" in piece)),
      special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(IdSchema) })),
    }),
    z.looseObject({
      type: z.enum(["BertProcessing", "RobertaProcessing"]),
      cls: TokenPairSchema,
      sep: TokenPairSchema,
    }),
    otherThan("Sequence", "TemplateProcessing", "BertProcessing", "RobertaProcessing"),
  ]),
);
