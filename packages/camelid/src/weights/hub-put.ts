import { createReadStream } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { HubError } from "../errors.js";
import { type HubClient, RetryableError, withRetries } from "./hub-request.js";
import type { LocalFile } from "./local-files.js";

/** A stretch of a file. */
export interface Piece {
  file: LocalFile;
  start: number;
  length: number;
}

/**
 * PUTs a stretch of a file to an address that carries its own permission: no token goes along. Not with `fetch`, which
 * cannot say beforehand how long a stream is, as stores insist.
 * @returns the store's ETag
 */
export async function putBytes(
  hub: HubClient,
  address: string,
  piece: Piece,
  headers: Readonly<Record<string, string>>,
  onBytes: (bytes: number) => void,
): Promise<string> {
  return await withRetries(hub, () => putOnce(hub, address, piece, headers, onBytes));
}

function putOnce(
  hub: HubClient,
  address: string,
  { file, start, length }: Piece,
  headers: Readonly<Record<string, string>>,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const send = address.startsWith("https:") ? httpsRequest : httpRequest;
  const failure = (reason: string): HubError =>
    new HubError("ERR_HUB_UPLOAD", `sending ${file.path} failed (${reason}).`, {
      where: new URL(address).origin,
      fix: "check the network and try again: files that have arrived are not sent again.",
    });
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(hub.signal?.aborted ? hub.signal.reason : new RetryableError(failure(error.message)));
    const request = send(address, {
      method: "PUT",
      headers: { ...headers, "content-length": length },
      ...(hub.signal === undefined ? {} : { signal: hub.signal }),
    });
    request.on("error", fail);
    request.on("response", (response) => {
      response.resume();
      response.on("error", fail);
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) {
        response.on("end", () => resolve(response.headers.etag ?? ""));
        return;
      }
      const error = failure(`${status} ${response.statusMessage ?? ""}`.trim());
      reject(status === 429 || status === 408 || status >= 500 ? new RetryableError(error) : error);
    });
    if (length === 0) {
      request.end();
      return;
    }
    const stream = createReadStream(file.local, { start, end: start + length - 1 });
    let sent = 0;
    stream.on("data", (chunk) => {
      sent += chunk.length;
      onBytes(sent);
    });
    stream.on("error", (error) => {
      request.destroy();
      reject(error);
    });
    stream.pipe(request);
  });
}
