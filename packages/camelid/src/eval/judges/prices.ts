/**
 * List prices of judges in dollars per million tokens, in and out, as published by OpenAI for these dated models. Prices of
 * models whose name does not carry a date change: give `--judges role=URL#model#KEY#in,out` for them.
 */
const LIST_PRICES: Readonly<Record<string, readonly [input: number, output: number]>> = {
  "gpt-4-0613": [30, 60],
  "gpt-4-0314": [30, 60],
  "gpt-4-1106-preview": [10, 30],
  "gpt-4-0125-preview": [10, 30],
  "gpt-4-turbo-2024-04-09": [10, 30],
  "gpt-4o-2024-08-06": [2.5, 10],
  "gpt-4o-mini-2024-07-18": [0.15, 0.6],
};

export function listPrice(model: string): readonly [input: number, output: number] | undefined {
  return LIST_PRICES[model];
}
