/** The items of a task: listed, and one with everything its verdict rests on. */
import type { Prediction } from "../../eval/predictions.js";
import type { ItemDetail, ItemsReply, ListedItem } from "../api.js";

export interface ItemsQuestion {
  verdict: string;
  words: string;
  group: string;
  offset: number;
  limit: number;
}

export function listItems(
  predictions: readonly Prediction[],
  { verdict, words, group, offset, limit }: ItemsQuestion,
): ItemsReply {
  const wanted = words.toLowerCase();
  const found = predictions.flatMap((prediction, index) => {
    if (!hasVerdict(prediction, verdict)) return [];
    if (group !== "" && prediction.group !== group) return [];
    return wanted === "" || saysIn(prediction, wanted) ? [index] : [];
  });
  return {
    total: found.length,
    items: found.slice(offset, offset + limit).map((index) => listed(predictions[index]!, index)),
  };
}

/** A verdict, or one of the counters: `truncated`, `extraction`. */
function hasVerdict(prediction: Prediction, verdict: string): boolean {
  if (verdict === "") return true;
  if (verdict === "truncated") return prediction.truncated === true;
  if (verdict === "extraction") return prediction.extraction_failed === true;
  return prediction.verdict === verdict;
}

function saysIn({ id, prompt, output, target }: Prediction, words: string): boolean {
  return [id, prompt ?? "", output, target ?? ""].some((text) => text.toLowerCase().includes(words));
}

function listed(
  { id, group, verdict, prompt, output, extracted, target }: Prediction,
  index: number,
): ListedItem {
  return {
    ...{ index, id, group: group ?? "", verdict, extracted: extracted === null ? null : ending(extracted) },
    prompt: ending(prompt ?? ""),
    output: output.slice(0, 200),
    target: target === undefined ? null : target.slice(0, 200),
  };
}

/** The question stands at the end, after the examples. */
export function ending(text: string): string {
  const flat = text.replace(/\s+/g, " ").trim();
  return flat.length <= 240 ? flat : `… ${flat.slice(-240)}`;
}

export function itemDetail(prediction: Prediction, index: number): ItemDetail {
  const {
    id,
    group,
    verdict,
    score,
    prompt,
    output,
    extracted,
    target,
    reason,
    note,
    values,
    details,
    rounds,
  } = prediction;
  const remarks = [
    prediction.truncated && "The answer was cut by the token limit.",
    prediction.extraction_failed && "Nothing could be read out of the answer.",
    prediction.prompt_too_long && "The prompt did not fit.",
    reason,
    note,
    prediction.upstream_score !== undefined && `The verdict stored upstream is ${prediction.upstream_score}.`,
  ];
  return {
    ...{ index, id, group: group ?? null, verdict, score, prompt, output, extracted, target: target ?? null },
    remarks: remarks.filter((remark) => typeof remark === "string"),
    values: values ?? {},
    details: details === undefined || details === null ? null : JSON.stringify(details, null, 2),
    rounds: rounds ?? [],
  };
}
