/** The gradients of all ranks become their sum, in buckets: few large messages, all under way at once. */
import type { ProcessGroup, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/** Bytes of one message. Large enough for full bandwidth, small enough that copying overlaps with sending. */
const BUCKET_BYTES = 25 * 2 ** 20;

/**
 * @param parameters the same on every rank, in the same order; one that a rank's rows did not touch counts as zeros
 */
export function sumGradients(group: ProcessGroup, parameters: Iterable<Tensor>): void {
  torch.noGrad(() => {
    using _ = torch.tensorScope();
    const sent = buckets([...parameters].filter((parameter) => parameter.requiresGrad)).map((members) => {
      const flat = torch.cat(
        members.map(({ grad, dtype, device, numel }) =>
          grad === undefined ? torch.zeros([numel], { dtype, device }) : grad.reshape([-1]).to({ dtype }),
        ),
      );
      return { members, flat, sum: group.allReduce(flat) };
    });
    for (const { members, flat, sum } of sent) {
      sum.wait();
      putBack(members, flat);
    }
  });
}

/** Neighbours of one dtype together, up to the size of a message. */
function buckets(parameters: readonly Tensor[]): Tensor[][] {
  const all: Tensor[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const parameter of parameters) {
    const last = all.at(-1);
    if (
      last === undefined ||
      bytes + parameter.sizeBytes > BUCKET_BYTES ||
      last[0]!.dtype !== parameter.dtype
    ) {
      all.push([parameter]);
      bytes = parameter.sizeBytes;
    } else {
      last.push(parameter);
      bytes += parameter.sizeBytes;
    }
  }
  return all;
}

function putBack(members: readonly Tensor[], flat: Tensor): void {
  let at = 0;
  for (const parameter of members) {
    const sum = flat.narrow(0, at, parameter.numel).view(parameter.shape);
    at += parameter.numel;
    if (parameter.grad === undefined) parameter.grad = sum.clone();
    else parameter.grad.copy_(sum);
  }
}
