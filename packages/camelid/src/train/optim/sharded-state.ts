/** The state of an optimizer whose parts lie on several ranks, put together tensor by tensor: no rank ever holds all of it. */
import type { ProcessGroup, SafetensorsEntry, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { World } from "../../parallel/world.js";
import type { StateLayout } from "./adamw.js";

export interface StatePart extends StateLayout {
  name: string;
  owner: number;
}

/** What every rank holds; the same list on all of them. */
export function gatherLayout(state: ReadonlyMap<string, Tensor>, world: World): StatePart[] {
  const here = [...state].map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
  return world
    .exchange(JSON.stringify(here))
    .flatMap((text, owner) => (JSON.parse(text) as StatePart[]).map((part) => ({ ...part, owner })));
}

/**
 * Rank 0 asks for one tensor after the other, in the order in which it writes; all others answer until it says that it is done.
 * @param write given on rank 0 only
 */
export function saveParts(
  group: ProcessGroup,
  parts: readonly StatePart[],
  state: ReadonlyMap<string, Tensor>,
  write: ((entries: readonly SafetensorsEntry[]) => void) | undefined,
): void {
  if (write === undefined) {
    for (let wanted = ask(group); wanted !== DONE; wanted = ask(group))
      fetchPart(group, parts[wanted]!, state);
    return;
  }
  try {
    write(
      parts.map((part, place) =>
        torch.safetensorsEntry(part.name, {
          ...part,
          toBytes() {
            if (part.owner !== group.rank) ask(group, place);
            return fetchPart(group, part, state);
          },
        }),
      ),
    );
  } finally {
    ask(group, DONE);
  }
}

const DONE = -1;

/** @returns what rank 0 says */
function ask(group: ProcessGroup, place = DONE): number {
  using _ = torch.tensorScope();
  const wanted = torch.full([1], place, { dtype: "float64" });
  group.broadcast(wanted, 0).wait();
  return wanted.item();
}

function fetchPart(group: ProcessGroup, part: StatePart, state: ReadonlyMap<string, Tensor>): Uint8Array {
  if (group.rank === 0 && part.owner === 0) return state.get(part.name)!.toBytes();
  using _ = torch.tensorScope();
  const own = state.get(part.name);
  const device = own?.device ?? [...state.values()][0]?.device ?? "cpu";
  const tensor = own ?? torch.empty(part.shape, { dtype: part.dtype, device });
  group.broadcast(tensor, part.owner).wait();
  return group.rank === 0 ? tensor.toBytes() : new Uint8Array();
}
