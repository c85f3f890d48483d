import type { z } from "zod";
import { HubError } from "../errors.js";
import { type HubClient, hubPost, withRetries } from "./hub-request.js";

/** A POST of JSON, tried again where that may help. */
export async function post<T extends z.ZodType>(
  hub: HubClient,
  path: string,
  target: { id: string; revision: string },
  text: string,
  schema: T,
  accept: readonly number[] = [],
  type = "application/json",
): Promise<z.output<T>> {
  return await withRetries(hub, async () => {
    const response = await hubPost(
      hub,
      path,
      { ...target, writes: true },
      { type, text, accept: type },
      accept,
    );
    return parsed(schema, await response.text(), `${hub.endpoint}${path}`);
  });
}

/** @throws {HubError} `ERR_HUB_ANSWER` */
export function parsed<T extends z.ZodType>(schema: T, text: string, where: string): z.output<T> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const found = schema.safeParse(json);
  if (found.success) return found.data;
  throw new HubError("ERR_HUB_ANSWER", "the hub's answer is not in the form that Hugging Face gives.", {
    where,
    fix: "check HF_ENDPOINT; it has to speak the API of Hugging Face.",
    cause: found.error,
  });
}
