import { Component, type ComponentChildren } from "preact";

/** A view that fails says so, and the others go on. */
export class Boundary extends Component<
  { children: ComponentChildren; name: string },
  { error: Error | undefined }
> {
  override state = { error: undefined as Error | undefined };

  override componentDidCatch(error: Error): void {
    console.error(error);
    this.setState({ error });
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <main class="page">
        <h1>{this.props.name}</h1>
        <div class="note bad" role="alert">
          This view failed: {error.message}. Nothing on disk was touched. Please report it.
        </div>
      </main>
    );
  }
}
