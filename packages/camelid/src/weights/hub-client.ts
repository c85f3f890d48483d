import { setTimeout } from "node:timers/promises";
import { SettingsError } from "../errors.js";
import type { HubClient } from "./hub-request.js";

export interface HubEnvironment {
  /** `HF_ENDPOINT` and `HF_TOKEN` are honoured. The token is read here and goes into requests, nowhere else. */
  env?: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal;
  /** Waits between tries; for tests. */
  sleep?: (milliseconds: number) => Promise<void>;
}

/** @throws {SettingsError} `ERR_HUB_ENDPOINT` when `HF_ENDPOINT` is no address */
export function hubClient({ env = process.env, signal, sleep }: HubEnvironment): HubClient {
  const waiting = signal === undefined ? {} : { signal };
  return {
    endpoint: endpointOf(env),
    token: env.HF_TOKEN?.trim() || undefined,
    signal,
    sleep: sleep ?? ((milliseconds) => setTimeout(milliseconds, undefined, waiting)),
  };
}

function endpointOf(env: Readonly<Record<string, string | undefined>>): string {
  const endpoint = (env.HF_ENDPOINT?.trim() || "https://huggingface.co").replace(/\/+$/, "");
  if (/^https?:$/.test(URL.canParse(endpoint) ? new URL(endpoint).protocol : "")) return endpoint;
  throw new SettingsError("ERR_HUB_ENDPOINT", `HF_ENDPOINT is "${endpoint}", which is no web address.`, {
    where: "environment variable HF_ENDPOINT",
    fix: "set it to an address such as https://huggingface.co, or unset it.",
  });
}
