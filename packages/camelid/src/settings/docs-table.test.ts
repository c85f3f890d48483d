import { expect, test } from "vitest";
import { z } from "zod";
import { settingsMarkdown } from "./docs-table.js";
import { evalTaskKnobs, knobs, loraKnobs, quantizeKnobs } from "./knobs.js";

const intro = `# Settings

Every knob that more than one command knows, with its type and default; a recipe may have another default, which
\`camelid <recipe> --help\` shows. The key is the same word in a preset, a JSON or YAML file (\`--config\`) and
\`--set key=value\`; as a flag, \`learningRate\` is \`--learning-rate\` and \`lora.rank\` is \`--lora-rank\`. A flag beats \`--set\`,
which beats the file, which beats the preset. This page is made from the schema (\`npx vitest run docs-table -u\`).
`;

test("the settings page says what the schema says", async () => {
  const page = `${intro}\n${settingsMarkdown(z.strictObject({ ...knobs, ...evalTaskKnobs, lora: loraKnobs, quantize: quantizeKnobs }))}\n`;
  await expect(page).toMatchFileSnapshot("../../../../docs/guides/settings.md");
});

test("a bar in a help text does not break the table", () => {
  const schema = z.strictObject({ a: z.string().describe("x | y") });
  expect(settingsMarkdown(schema)).toContain("x \\| y");
});
