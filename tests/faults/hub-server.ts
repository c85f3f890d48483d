import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Something that goes wrong with one request for a path that ends in `path`. */
export interface Fault {
  path: string;
  /** Answer with this status instead. */
  status?: number;
  headers?: Record<string, string>;
  /** Break the connection after this many bytes of the body. */
  dropAfter?: number;
  /** Send these bytes in place of the file's. */
  body?: Buffer;
  /** Ignore the range that was asked for. */
  noRange?: boolean;
}

export interface HubRepository {
  commit: string;
  files: Record<string, Buffer>;
  /** Names of files that live on the other server, as large ones do. */
  lfs: string[];
  token?: string;
}

/**
 * A stand-in for a model hub on 127.0.0.1: the list of a revision, files with ranges, large files by redirect to a
 * second server, and whatever can go wrong on the way.
 */
export class HubServer {
  readonly repositories = new Map<string, HubRepository>();
  /** Each is used up by one request. */
  readonly faults: Fault[] = [];
  /** What was asked, in order: path, range, and whether a token came along. */
  readonly requests: { path: string; range: string | undefined; token: string | undefined; cdn: boolean }[] =
    [];
  readonly #hub = createServer((request, response) => this.#answer(request, response, false));
  readonly #cdn = createServer((request, response) => this.#answer(request, response, true));

  async start(): Promise<void> {
    await Promise.all([listen(this.#hub), listen(this.#cdn)]);
  }

  async stop(): Promise<void> {
    await Promise.all([close(this.#hub), close(this.#cdn)]);
  }

  get endpoint(): string {
    return addressOf(this.#hub);
  }

  #answer(request: IncomingMessage, response: ServerResponse, cdn: boolean): void {
    const path = decodeURIComponent(new URL(request.url ?? "", "http://hub").pathname);
    const { range, authorization } = request.headers;
    this.requests.push({ path, range, token: authorization, cdn });
    const index = this.faults.findIndex(
      (fault) => path.endsWith(fault.path) && (cdn || !this.#isRedirected(path)),
    );
    const [fault] = index < 0 ? [] : this.faults.splice(index, 1);
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    const [, api, file] = /^(\/api\/models|\/api(?=\/datasets))?\/(?:datasets\/)?(.*)$/.exec(path) ?? [];
    const [org, name, , revision, ...rest] = (file ?? "").split("/");
    const repository = this.repositories.get(`${org}/${name}`);
    if (repository === undefined || (revision !== "main" && revision !== repository.commit)) {
      const code = repository === undefined ? "RepoNotFound" : "RevisionNotFound";
      response.writeHead(404, { "x-error-code": code, "x-error-message": code }).end();
    } else if (repository.token !== undefined && !cdn && authorization !== `Bearer ${repository.token}`) {
      response.writeHead(401, { "x-error-message": "Invalid username or password." }).end();
    } else if (api !== undefined) {
      response.end(fault?.body ?? JSON.stringify(listing(repository)));
    } else if (!cdn && this.#isRedirected(path)) {
      response.writeHead(302, { location: `${addressOf(this.#cdn)}${request.url}` }).end();
    } else {
      const content = fault?.body ?? repository.files[rest.join("/")];
      if (content === undefined) response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
      else send(response, content, fault?.noRange ? undefined : range, fault?.dropAfter);
    }
  }

  #isRedirected(path: string): boolean {
    return [...this.repositories.values()].some(({ lfs }) => lfs.some((name) => path.endsWith(`/${name}`)));
  }
}

function send(
  response: ServerResponse,
  content: Buffer,
  range: string | undefined,
  dropAfter: number | undefined,
): void {
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  if (start > 0 && start >= content.byteLength) {
    response.writeHead(416).end();
    return;
  }
  const body = content.subarray(start);
  const headers = { "content-length": String(body.byteLength) };
  if (range === undefined) response.writeHead(200, headers);
  else
    response.writeHead(206, {
      ...headers,
      "content-range": `bytes ${start}-${content.byteLength - 1}/${content.byteLength}`,
    });
  if (dropAfter === undefined) response.end(body);
  else response.write(body.subarray(0, dropAfter), () => setImmediate(() => response.destroy()));
}

function listing({ commit, files, lfs }: HubRepository) {
  const siblings = Object.entries(files).map(([rfilename, content]) => {
    const size = content.byteLength;
    const blobId = createHash("sha1").update(`blob ${size}\0`).update(content).digest("hex");
    const sha256 = createHash("sha256").update(content).digest("hex");
    return {
      rfilename,
      size,
      blobId,
      ...(lfs.includes(rfilename) ? { lfs: { sha256, size, pointerSize: 134 } } : {}),
    };
  });
  return { id: "ignored", sha: commit, siblings };
}

const addressOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const listen = (server: Server) =>
  new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });

const close = (server: Server) =>
  new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
