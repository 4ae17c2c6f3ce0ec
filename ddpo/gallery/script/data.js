/* What there is to show. A page opened from disk may load scripts and no other files, so data come
   as scripts that call ddpoData(name, value). */

const scripts = window.trustedTypes
  ? window.trustedTypes.createPolicy("data", { createScriptURL: dataFile })
  : { createScriptURL: dataFile };
const loading = new Map();
const arrivals = new Map();
/* At a server: which content of a data file is meant, since the browser keeps what it has had. */
const stamps = new Map();

window.ddpoData = (name, value) => arrivals.get(name)?.(value);

function dataFile(name) {
  if (!/^([1-9]\/)?\w+$/.test(name)) throw new Error(`${name} is no name of a data file`);
  const stamp = stamps.get(name);
  return `data/${name}.js${stamp ? `?v=${stamp}` : ""}`;
}

function setName(iteration) {
  return String(iteration).padStart(6, "0");
}

/* What `make` promises, made once for each key; what failed is not kept. */
function once(kept, key, make) {
  if (!kept.has(key)) {
    const made = make();
    made.catch(() => kept.delete(key));
    kept.set(key, made);
  }
  return kept.get(key);
}

function load(name) {
  return once(loading, name, () => requested(name));
}

function requested(name) {
  return new Promise((resolve, reject) => {
    arrivals.set(name, resolve);
    const script = document.createElement("script");
    script.src = scripts.createScriptURL(name);
    const ended = () => {
      script.remove();
      /* After it has resolved, this does nothing. */
      reject(new Error(`${dataFile(name)} is missing or damaged: write the gallery again.`));
    };
    script.addEventListener("load", ended);
    script.addEventListener("error", ended);
    document.head.append(script);
  });
}

/* The samples of one iteration of a run, whose `part` begins the names of its files. Numbers are kept
   in typed arrays, since there may be many. */
class SampleSet {
  constructor(part, { iteration, prompts, prompt, values, texts, absent, tests = [] }) {
    this.place = `${part}${setName(iteration)}`;
    this.iteration = iteration;
    this.prompts = prompts;
    this.texts = texts;
    this.tests = tests;
    this.prompt = Uint32Array.from(prompt);
    this.values = values.map((column) => Float64Array.from(column, (value) => value ?? NaN));
    this.absent = new Set(absent);
  }

  get count() {
    return this.prompt.length;
  }

  promptOf(number) {
    return this.prompts[this.prompt[number]][0];
  }

  referenceOf(number) {
    return this.prompts[this.prompt[number]][1];
  }

  /* Whether there is a sample of this number and prompt. */
  has(number, prompt) {
    return number < this.count && this.promptOf(number) === prompt;
  }

  isText(number) {
    return this.texts[number] !== null;
  }

  /* What became of a program's tests; null for any other sample. */
  resultsOf(number) {
    return this.tests[number] ?? null;
  }

  thumb(number) {
    return `thumbs/${this.place}/${String(number).padStart(4, "0")}.webp`;
  }

  picture(number) {
    return `pictures/${this.place}/${String(number).padStart(4, "0")}.png`;
  }
}
