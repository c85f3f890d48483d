import type { TokenizerJson } from "./tokenizer-files.js";

/** The ids that `encode(text, { addSpecialTokens: true })` puts around a text, read off the file's post-processor. */
export interface AddedAround {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

type Stage = { type: string; [key: string]: unknown } | null | undefined;
type TemplatePiece = { SpecialToken?: { id: string }; Sequence?: { id: string } };

export function addedAround(json: TokenizerJson): AddedAround {
  return ofStage(json.post_processor);
}

function ofStage(stage: Stage): AddedAround {
  switch (stage?.type) {
    case "TemplateProcessing":
      return ofTemplate(stage);
    case "BertProcessing":
    case "RobertaProcessing":
      return { before: [pairId(stage.cls)], after: [pairId(stage.sep)] };
    case "Sequence":
      return (stage.processors as Stage[]).map(ofStage).reduce(
        (inner, outer) => ({
          before: [...outer.before, ...inner.before],
          after: [...inner.after, ...outer.after],
        }),
        { before: [], after: [] },
      );
    default:
      return { before: [], after: [] };
  }
}

function ofTemplate(stage: NonNullable<Stage>): AddedAround {
  const pieces = stage.single as TemplatePiece[];
  const specials = stage.special_tokens as Record<string, { ids: number[] }>;
  const ids = (part: TemplatePiece[]) =>
    part.flatMap((piece) => specials[piece.SpecialToken?.id ?? ""]?.ids ?? []);
  const text = pieces.findIndex((piece) => piece.Sequence !== undefined);
  return { before: ids(pieces.slice(0, text)), after: ids(pieces.slice(text + 1)) };
}

const pairId = (pair: unknown): number => (pair as [string, number])[1];
