// Numbers and states as a reader sees them.

const whole = new Intl.NumberFormat("en");

/** A share of 1 as a percentage. */
export const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** A probability as a percentage: never 0 % or 100 %, which no model can know. */
export function likely(probability) {
  if (probability < 0.0005) return "< 0.1 %";
  return probability >= 0.9995 ? "> 99.9 %" : percent(probability);
}

/** How many, with the right form of the word. */
export const count = (number, one, many = `${one}s`) => `${whole.format(number)} ${number === 1 ? one : many}`;

/** A number with as many decimals as it needs, four at most. */
export const decimal = (number) => String(Number(number.toFixed(4)));

/** A word at the beginning of a line. */
export const capitalized = (word) => word[0].toUpperCase() + word.slice(1);

/** Bytes as MiB. */
export const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const TITLES = {
  400: "Cannot be read", 401: "A key is needed", 403: "Not allowed", 408: "Sent too slowly", 413: "Too large",
  415: "Not an image", 422: "Cannot be used", 429: "Too many requests", 503: "Busy or away", 504: "Too slow",
};

/** What went wrong, in few words, by the status of a response. */
export const problemTitle = (status) => TITLES[status] ?? (status >= 500 ? "A fault of the service" : `Status ${status}`);

/** The class of a response and its probability. */
export const verdict = (response) => `${response.class}, ${likely(response.probabilities[response.class])}`;

export const UNLIKE =
  "This image is unlike the images that the model was trained on, so the class means little. Do not rely on it.";
export const UNKNOWN_LIKENESS =
  "The model has no threshold, so nothing says whether this image is like those it was trained on.";
export const NO_EXPLANATION = "This model cannot show where in the image it saw the class.";

const WINDOWS = { file: "from the file", percentiles: "from the values of the image", lut: "a table in the file" };

/**
 * Which image of its file a response is for, where the file has several: a frame of a DICOM file, or a page of a TIFF.
 * @returns {{word: string, number: number, count: number}|null}
 */
export function part(response) {
  if (response?.dicom?.frames > 1) return { word: "frame", number: response.dicom.frame, count: response.dicom.frames };
  return response?.pages > 1 ? { word: "page", number: response.page, count: response.pages } : null;
}

/** The same as rows of facts. */
export function partFacts(response) {
  const { word, number, count } = part(response) ?? {};
  return word ? [[capitalized(word), `${number} of ${count}`]] : [];
}

/** What a DICOM file says of its image, and the window in which it is shown, as rows of facts. */
export function dicomFacts(dicom) {
  if (!dicom) return [];
  const { window } = dicom;
  const values = window && window.center !== null && window.center !== undefined
    ? `, center ${decimal(window.center)}, width ${decimal(window.width)}` : "";
  return [
    ["Modality", dicom.modality ?? "not given"],
    ["Window", window ? `${WINDOWS[window.source] ?? window.source}${values}` : null],
  ];
}
