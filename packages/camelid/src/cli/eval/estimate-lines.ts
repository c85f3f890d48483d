/** What a dry run says about the judges that were not asked. */
import type { EvalMetrics } from "../../eval/results-folder.js";

export function estimateLines({ counters = {} }: Pick<EvalMetrics, "counters">): string[] {
  return Object.entries(counters).flatMap(([role, counts]) => {
    const { requests = 0, estimated_prompt_tokens, most_completion_tokens = 0, most_cost_usd } = counts;
    if (estimated_prompt_tokens === undefined || requests === 0) return [];
    const cost = most_cost_usd === undefined ? "price not known" : `at most $${most_cost_usd.toFixed(2)}`;
    const input = estimated_prompt_tokens.toLocaleString("en-US");
    const output = most_completion_tokens.toLocaleString("en-US");
    return [`${role}: ${requests} prompts, about ${input} tokens in and at most ${output} out; ${cost}`];
  });
}
