/** Parameters in flat stretches of memory, so that many small ones make one message. */
import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { shareOut } from "./share.js";

/** What is asked of a parameter to lay it out; a plan has no more than this. */
export interface Sized {
  readonly numel: number;
  readonly sizeBytes: number;
  readonly dtype: DType;
}

export interface Bucket<Parameter extends Sized = Tensor> {
  readonly members: readonly Parameter[];
  /** The rank that has them; undefined when all do. */
  readonly owner: number | undefined;
}

/** Large enough for full bandwidth. */
const MOST_BYTES = 25 * 2 ** 20;
/** Below it, what a message costs by itself would count. */
const LEAST_BYTES = 2 ** 20;
/** Into so many messages small models are cut: the last is sent when nothing is left to compute beside it. */
const MESSAGES = 16;

/** Members begin at multiples of so many elements, where kernels like memory to begin. */
const ALIGNMENT = 64;

/** Which rank keeps what of whole parameters: the largest first, each to the rank that has the least. */
export function ownersOf<Parameter extends Sized>(
  parameters: readonly Parameter[],
  ranks: number,
): Map<Parameter, number> {
  const shares = shareOut(
    parameters.map(({ sizeBytes }) => sizeBytes),
    ranks,
  );
  return new Map(
    shares.flatMap((places, rank) => places.map((place) => [parameters[place]!, rank] as const)),
  );
}

/**
 * Parameters of one owner and dtype together, in the order in which buckets become complete.
 * @param bytes of one message; left out, what suits the whole
 */
export function bucketsOf<Parameter extends Sized>(
  parameters: readonly Parameter[],
  owners?: ReadonlyMap<Parameter, number>,
  bytes = messageBytes(parameters),
): Bucket<Parameter>[] {
  const all: { members: Parameter[]; owner: number | undefined; last: number }[] = [];
  const open = new Map<string, { members: Parameter[]; last: number; bytes: number }>();
  for (const [place, parameter] of parameters.entries()) {
    const owner = owners?.get(parameter);
    const key = `${owner} ${parameter.dtype}`;
    let bucket = open.get(key);
    if (bucket === undefined || bucket.bytes + parameter.sizeBytes > bytes) {
      const started = { members: [] as Parameter[], owner, last: place, bytes: 0 };
      all.push(started);
      open.set(key, started);
      bucket = started;
    }
    bucket.members.push(parameter);
    bucket.last = place;
    bucket.bytes += parameter.sizeBytes;
  }
  return all.sort((a, b) => a.last - b.last).map(({ members, owner }) => ({ members, owner }));
}

function messageBytes(parameters: readonly Sized[]): number {
  const all = parameters.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return Math.min(MOST_BYTES, Math.max(LEAST_BYTES, all / MESSAGES));
}

/**
 * What belongs to each member, end to end, in new memory (of a single member: its own memory).
 * @param part of a member's shape; undefined counts as zeros
 * @returns [elements], outside of all scopes
 */
export function flatBucket({ members }: Bucket, part: (member: Tensor) => Tensor | undefined): Tensor {
  return torch.outsideScopes(() =>
    torch.noGrad(() =>
      torch.tensorScope(() => {
        const pieces = members.flatMap((member) => {
          const { numel, dtype, device } = member;
          const given = part(member);
          const padding = members.length === 1 ? 0 : padded(numel) - numel;
          return [
            given === undefined
              ? torch.zeros([numel], { dtype, device })
              : given.detach().reshape([-1]).to({ dtype }),
            ...(padding > 0 ? [torch.zeros([padding], { dtype, device })] : []),
          ];
        });
        return pieces.length === 1 ? pieces[0]! : torch.cat(pieces);
      }),
    ),
  );
}

/** Bytes of a bucket end to end: one message. */
export function flatBytes({ members }: Bucket<Sized>): number {
  if (members.length === 1) return members[0]!.sizeBytes;
  return members.reduce((sum, { numel, sizeBytes }) => sum + (sizeBytes / numel) * padded(numel), 0);
}

/** The members' parts of a flat bucket, in their shapes: views in the current scope. */
export function cutBucket({ members }: Bucket, flat: Tensor): [member: Tensor, part: Tensor][] {
  let at = 0;
  return members.map((member) => {
    const part = flat.narrow(0, at, member.numel).view(member.shape);
    at += padded(member.numel);
    return [member, part];
  });
}

const padded = (numel: number): number => Math.ceil(numel / ALIGNMENT) * ALIGNMENT;
