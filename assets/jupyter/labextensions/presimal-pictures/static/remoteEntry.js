// JupyterLab drops the alternative text that a notebook holds for a picture: its own renderer asks for width and height
// alone. This one gives it back, and leaves out the printed line that tells the same where no picture can.
// It is written by hand in the form in which JupyterLab 4 loads what others have built: init, then get.
(() => {
  let shared;
  const told = new Set(); // the sentences that pictures of this page carry
  // What is printed breaks between words, the line of a folded cell too; the number of a cell, and tables, are seen in
  // large type.
  const STYLE = `.jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }
    body { --jp-cell-prompt-width: calc(4.93 * var(--jp-code-font-size)); }
    body .jp-RenderedHTMLCommon table { font-size: 0.85em; }
    .jp-Placeholder-content { min-width: 0; }
    body .jp-PlaceholderText { white-space: normal; }`;

  async function renderers() {
    const [version] = Object.values(shared["@jupyterlab/rendermime"]);
    const { RenderedImage, RenderedText } = (await version.get())();

    class Picture extends RenderedImage {
      async render(model) {
        const sentence = model.metadata[this.mimeType]?.alt ?? "";
        told.add(sentence); // before anything else: what was printed is drawn at the same time
        await super.render(model);
        this.node.querySelector("img").alt = sentence;
      }
    }

    class Printed extends RenderedText {
      async render(model) {
        const repeats = (line) => line.startsWith("Figure: ") && told.has(line.slice(8).trimEnd());
        const text = String(model.data[this.mimeType]);
        const kept = text.split(/(?<=\n)/).filter((line) => !repeats(line)).join("");
        this.setHidden(kept === "" && text !== "");
        const { metadata, trusted } = model;
        await super.render({ data: { [this.mimeType]: kept }, metadata, trusted });
      }
    }

    const plugin = (name, mimeType, rank, Renderer) => ({
      id: `presimal-pictures:${name}`,
      rendererFactory: { safe: true, mimeTypes: [mimeType], createRenderer: (options) => new Renderer(options) },
      rank, // as JupyterLab has it
      dataType: "string",
    });
    document.head.append(Object.assign(document.createElement("style"), { textContent: STYLE }));
    return [plugin("png", "image/png", 90, Picture), plugin("stdout", "application/vnd.jupyter.stdout", 120, Printed)];
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["presimal-pictures"] = {
    init: (scope) => void (shared = scope),
    get: async () => {
      const plugins = await renderers();
      return () => ({ __esModule: true, default: plugins });
    },
  };
})();
