import { useKept } from "../hooks.ts";

export interface DecodingSettings {
  maxNewTokens: number;
  temperature: number;
  topP: number;
  seed: number;
}

/** How answers are drawn; kept in the browser. */
export function useDecoding(
  name: string,
  temperature: string,
): [DecodingSettings, (key: keyof DecodingSettings, text: string) => void] {
  const [maxNewTokens, keepMax] = useKept(`${name}-max`, "256");
  const [kept, keepTemperature] = useKept(`${name}-temperature`, temperature);
  const [topP, keepTopP] = useKept(`${name}-top-p`, "1");
  const [seed, keepSeed] = useKept(`${name}-seed`, "0");
  const number = (text: string, low: number, high: number) =>
    Math.min(high, Math.max(low, Number(text) || 0));
  const values = {
    maxNewTokens: Math.round(number(maxNewTokens, 1, 8192)),
    temperature: number(kept, 0, 5),
    topP: number(topP, 0.01, 1),
    seed: Math.round(number(seed, 0, 2 ** 31)),
  };
  const keep = { maxNewTokens: keepMax, temperature: keepTemperature, topP: keepTopP, seed: keepSeed };
  return [values, (key, text) => keep[key](text)];
}

export function DecodingFields({
  of,
  onChange,
}: {
  of: DecodingSettings;
  onChange: (key: keyof DecodingSettings, text: string) => void;
}) {
  const field = (key: keyof DecodingSettings, name: string, step: string) => (
    <label>
      {name}
      <input
        type="number"
        min="0"
        step={step}
        style={{ width: "5.2rem" }}
        value={of[key]}
        onChange={(event) => onChange(key, event.currentTarget.value)}
      />
    </label>
  );
  return (
    <div class="fields">
      {field("temperature", "temperature", "0.1")}
      {field("topP", "top p", "0.05")}
      {field("maxNewTokens", "most tokens", "16")}
      {field("seed", "seed", "1")}
    </div>
  );
}
