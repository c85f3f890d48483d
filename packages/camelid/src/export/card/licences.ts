/**
 * Licences of the instruction sources, as the data set card of the Tulu 2 mixture lists them
 * (https://huggingface.co/datasets/allenai/tulu-v2-sft-mixture) and, for Dolly, its own card. By the source's name in a mixture.
 */
export const SOURCE_LICENCES: Readonly<Record<string, string>> = {
  flan_v2: "Apache-2.0",
  cot: "Apache-2.0",
  oasst1: "Apache-2.0",
  sharegpt: "listed as Apache-2.0",
  gpt4_alpaca: "CC BY-NC 4.0",
  code_alpaca: "CC BY-NC 4.0",
  lima: "CC BY-NC-SA",
  wizardlm: "none stated",
  open_orca: "MIT",
  dolly: "CC BY-SA 3.0",
};
