import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Something that goes wrong with one request whose method and path match. */
export interface UploadFault {
  method: string;
  path: RegExp;
  /** Answer with this status instead of doing it. */
  status?: number;
  headers?: Record<string, string>;
  /** Break the connection after this many bytes of the request's body. */
  dropAfter?: number;
  /** Do it, and break the connection instead of answering. */
  dropAnswer?: boolean;
}

interface Stored {
  commit: string;
  files: Map<string, { content: Buffer; isLarge: boolean }>;
  private: boolean;
}

/** Above this many bytes a file goes to the store for large files; above the second it is sent in parts. */
const LARGE = 10_000;
const IN_PARTS = 40_000;
const PART = 16_384;

/**
 * A stand-in for a hub that takes uploads, on 127.0.0.1: repositories, the store for large files on a second server, commits. It
 * checks what Hugging Face checks: tokens, hashes, sizes, parents.
 */
export class UploadHub {
  readonly repositories = new Map<string, Stored>();
  /** The store, by sha256. */
  readonly objects = new Map<string, Buffer>();
  readonly faults: UploadFault[] = [];
  readonly requests: {
    method: string;
    path: string;
    token: string | undefined;
    bytes: number;
    store: boolean;
  }[] = [];
  token = "hf_writes";
  readonly #parts = new Map<string, Buffer>();
  readonly #hub = createServer((request, response) => void this.#receive(request, response, false));
  readonly #store = createServer((request, response) => void this.#receive(request, response, true));

  async start(): Promise<void> {
    await Promise.all([listen(this.#hub), listen(this.#store)]);
  }

  async stop(): Promise<void> {
    await Promise.all([close(this.#hub), close(this.#store)]);
  }

  get endpoint(): string {
    return addressOf(this.#hub);
  }

  async #receive(request: IncomingMessage, response: ServerResponse, store: boolean): Promise<void> {
    const method = request.method!;
    const path = decodeURIComponent(request.url!);
    const index = this.faults.findIndex((fault) => fault.method === method && fault.path.test(path));
    const [fault] = index < 0 ? [] : this.faults.splice(index, 1);
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        bytes += chunk.byteLength;
        if (fault?.dropAfter !== undefined && bytes >= fault.dropAfter) {
          request.destroy();
          return;
        }
      }
    } catch {
      return; // the client went away
    }
    this.requests.push({ method, path, token: request.headers.authorization, bytes, store });
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    const body = Buffer.concat(chunks);
    const answer = store ? this.#storeAnswer(method, path, body) : this.#answer(method, path, body, request);
    if (fault?.dropAnswer) request.socket.destroy();
    else response.writeHead(answer.status ?? 200, answer.headers).end(answer.body);
  }

  #answer(method: string, path: string, body: Buffer, request: IncomingMessage): Answer {
    const isAllowed = request.headers.authorization === `Bearer ${this.token}`;
    if (!isAllowed) return { status: 401, headers: { "x-error-message": "Invalid username or password." } };
    if (method === "POST" && path === "/api/repos/create") {
      const { organization, name, private: isPrivate } = JSON.parse(body.toString());
      const files = new Map([
        [".gitattributes", { content: Buffer.from("*.safetensors lfs\n"), isLarge: false }],
      ]);
      this.repositories.set(`${organization}/${name}`, {
        commit: hash("sha1", `${name} 1`),
        files,
        private: isPrivate,
      });
      return json({ url: `${this.endpoint}/${organization}/${name}`, name: `${organization}/${name}` });
    }
    if (path.includes("/verify")) {
      const { oid, size } = JSON.parse(body.toString());
      return { status: this.objects.get(oid)?.byteLength === size ? 200 : 400 };
    }
    const [, id] = /^(?:\/api\/models)?\/([^/]+\/[^/.]+)/.exec(path) ?? [];
    const repository = this.repositories.get(id ?? "");
    if (repository === undefined) return { status: 404, headers: { "x-error-code": "RepoNotFound" } };
    if (method === "GET") {
      const file = /\/resolve\/[^/]+\/(.+)$/.exec(path)?.[1];
      if (file === undefined) return json({ id, ...listing(repository) });
      return { body: repository.files.get(file)!.content };
    }
    if (path.includes("/preupload/")) {
      const { files } = JSON.parse(body.toString()) as {
        files: { path: string; size: number; sample: string }[];
      };
      return json({
        files: files.map(({ path, size }) => ({
          path,
          uploadMode: size > LARGE ? "lfs" : "regular",
          shouldIgnore: false,
        })),
      });
    }
    if (path.endsWith("/objects/batch")) return this.#batch(JSON.parse(body.toString()));
    if (path.includes("/commit/")) return this.#commit(repository, body.toString(), id!);
    return { status: 404 };
  }

  #batch({ objects }: { objects: { oid: string; size: number }[] }): Answer {
    const store = addressOf(this.#store);
    return json({
      transfer: "basic",
      objects: objects.map(({ oid, size }) => {
        if (this.objects.has(oid)) return { oid, size };
        const verify = { href: `${this.endpoint}/org/any/verify`, header: {} };
        if (size <= IN_PARTS)
          return { oid, size, actions: { upload: { href: `${store}/object/${oid}` }, verify } };
        const parts = Array.from({ length: Math.ceil(size / PART) }, (_, i) => [
          String(i + 1),
          `${store}/part/${oid}/${i + 1}`,
        ]);
        const header = { chunk_size: String(PART), ...Object.fromEntries(parts) };
        return { oid, size, actions: { upload: { href: `${store}/complete/${oid}`, header }, verify } };
      }),
    });
  }

  #storeAnswer(method: string, path: string, body: Buffer): Answer {
    const [, action, oid, part] = path.split("/") as [string, string, string, string];
    if (action === "part" && method === "PUT") {
      this.#parts.set(`${oid}/${part}`, body);
      return { headers: { etag: `"${hash("md5", body)}"` } };
    }
    if (action === "object" && method === "PUT") return this.#keep(oid, body);
    if (action !== "complete") return { status: 404 };
    const { parts } = JSON.parse(body.toString()) as { parts: { partNumber: number; etag: string }[] };
    const pieces = parts.map(({ partNumber, etag }) => {
      const piece = this.#parts.get(`${oid}/${partNumber}`);
      return piece !== undefined && etag === `"${hash("md5", piece)}"` ? piece : Buffer.from("wrong");
    });
    return this.#keep(oid, Buffer.concat(pieces));
  }

  #keep(oid: string, content: Buffer): Answer {
    if (hash("sha256", content) !== oid) return { status: 400 };
    this.objects.set(oid, content);
    return { headers: { etag: '"whole"' } };
  }

  #commit(repository: Stored, text: string, id: string): Answer {
    const lines = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const [header, ...operations] = lines;
    const { parentCommit = repository.commit } = header.value; // a client need not say it
    if (parentCommit !== repository.commit) return { status: 412, headers: { "x-error-message": "moved" } };
    for (const { key, value } of operations) {
      const content = key === "file" ? Buffer.from(value.content, "base64") : this.objects.get(value.oid);
      if (content === undefined || (key === "lfsFile" && content.byteLength !== value.size))
        return { status: 400 };
      repository.files.set(value.path, { content, isLarge: key === "lfsFile" });
    }
    repository.commit = hash("sha1", `${repository.commit} ${text}`);
    return json({
      commitOid: repository.commit,
      commitUrl: `${this.endpoint}/${id}/commit/${repository.commit}`,
    });
  }
}

interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: Buffer | string;
}

const json = (value: unknown): Answer => ({ body: JSON.stringify(value) });
const hash = (algorithm: string, content: Buffer | string): string =>
  createHash(algorithm).update(content).digest("hex");

function listing({ commit, files }: Stored) {
  const siblings = [...files].map(([rfilename, { content, isLarge }]) => {
    const size = content.byteLength;
    const blobId = createHash("sha1").update(`blob ${size}\0`).update(content).digest("hex");
    return {
      rfilename,
      size,
      blobId,
      ...(isLarge ? { lfs: { sha256: hash("sha256", content), size } } : {}),
    };
  });
  return { sha: commit, siblings };
}

const addressOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const listen = (server: Server) =>
  new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
const close = (server: Server) =>
  new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
