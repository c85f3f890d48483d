import { type FlipsReply, get, type ItemDetail, part } from "../api.ts";
import { useLoad } from "../hooks.ts";
import { Failure } from "../parts/blocks.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { Item, Said } from "./items-panel.tsx";

type Flip = FlipsReply["flips"][number];

/** One item as both answered it; a prompt that both got stands once, above. */
export function FlipDrawer(props: {
  sides: readonly { id: string; name: string }[];
  task: string;
  flip: Flip;
  before: (() => void) | undefined;
  next: (() => void) | undefined;
  onClose: () => void;
}) {
  const { sides, task, flip } = props;
  const key = `flip ${task} ${flip.id} ${sides.map(({ id }) => id).join(" ")}`;
  const { value, of, error } = useLoad(key, (signal) =>
    Promise.all(
      sides.map(({ id }, i) =>
        get<ItemDetail>(`evals/${part(id)}/items/${(i === 0 ? flip.a : flip.b).index}`, { task }, signal),
      ),
    ),
  );
  const items = of === key ? value : undefined;
  const prompt = items?.[0]?.prompt;
  const shared = prompt !== null && prompt !== undefined && prompt === items?.[1]?.prompt;
  return (
    <Drawer
      title={flip.id}
      label="Flip"
      onClose={props.onClose}
      before={props.before}
      next={props.next}
      what="flip"
    >
      {error && <Failure of={error} />}
      {shared && <Said name="Prompt, as both got it" text={prompt} />}
      <div class="sides">
        {sides.map(({ id, name }, i) => (
          <section key={id} aria-label={name}>
            <h3>
              {name} <small>{id}</small>
            </h3>
            {items === undefined ? (
              <div aria-busy={error === undefined} />
            ) : (
              <Item of={items[i]!} withPrompt={!shared} />
            )}
          </section>
        ))}
      </div>
    </Drawer>
  );
}
