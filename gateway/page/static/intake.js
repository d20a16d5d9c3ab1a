// Every way in which files come into the page: chosen, dropped, pasted, photographed, one by one or as folders.

const MOST = 1000; // files at a time
const DEEPEST = 16; // folders in each other
const NOT_IMAGES = ["thumbs.db", "desktop.ini", "dicomdir"];

/**
 * Listen for files.
 * @param {HTMLElement[]} inputs Inputs that files are chosen with.
 * @param {(files: File[], leftOut: {ofSystem: number, tooMany: number}) => void} take Gets the files, and how many files
 *     of a folder are the system's; tooMany is the limit where there were more.
 */
export function listen(inputs, take) {
  for (const input of inputs) {
    input.addEventListener("change", () => {
      give([...input.files], take, input.webkitdirectory);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    give(files, take, false);
  });
  listenForDrops(take);
}

function listenForDrops(take) {
  let depth = 0; // of elements that the pointer has entered and not left
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (change) => {
    depth = change === 0 ? 0 : Math.max(0, depth + change);
    document.documentElement.classList.toggle("dragging", depth > 0);
  };
  addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
  addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  addEventListener("drop", async (event) => {
    mark(0);
    if (!hasFiles(event)) return;
    event.preventDefault();
    // Entries must be taken before the handler returns, and only entries know folders.
    const dropped = [...event.dataTransfer.items]
      .filter((item) => item.kind === "file")
      .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile())
      .filter((found) => found !== null);
    const files = [];
    let folders = false;
    for (const found of dropped.slice(0, MOST)) {
      folders ||= Boolean(found.isDirectory);
      await walk(found, files, 0);
    }
    give(files, take, folders);
  });
}

/** Collect the files of an entry. */
async function walk(found, files, depth) {
  if (files.length > MOST || depth > DEEPEST) return;
  if (found instanceof File) {
    files.push(found);
  } else if (found.isFile) {
    const file = await new Promise((resolve) => found.file(resolve, () => resolve(null)));
    if (file) files.push(file);
  } else if (found.isDirectory) {
    const reader = found.createReader();
    while (files.length <= MOST) {
      // A folder comes in parts; an empty part is its end.
      const part = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
      if (!part.length) break;
      for (const entry of part) await walk(entry, files, depth + 1);
    }
  }
}

/** Hand over the files; those of a folder without what systems put there. */
function give(files, take, ofFolder) {
  const images = ofFolder ? files.filter((file) => !isOfSystem(file.name)) : files;
  const taken = images.slice(0, MOST);
  take(taken, { ofSystem: files.length - images.length, tooMany: images.length > MOST ? MOST : 0 });
}

const isOfSystem = (name) => name.startsWith(".") || NOT_IMAGES.includes(name.toLowerCase());
