/* What there is to show. A page opened from disk may load scripts and no other files, so data come
   as scripts that call ddpoData(name, value). */

const scripts = window.trustedTypes
  ? window.trustedTypes.createPolicy("data", { createScriptURL: dataFile })
  : { createScriptURL: dataFile };
const loading = new Map();
const arrivals = new Map();

window.ddpoData = (name, value) => arrivals.get(name)?.(value);

function dataFile(name) {
  if (!/^\w+$/.test(name)) throw new Error(`${name} is no name of a data file`);
  return `data/${name}.js`;
}

function setName(iteration) {
  return String(iteration).padStart(6, "0");
}

function load(name) {
  if (!loading.has(name)) loading.set(name, requested(name));
  return loading.get(name);
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

/* The samples of one iteration. Numbers are kept in typed arrays, since there may be many. */
class SampleSet {
  constructor({ iteration, prompts, prompt, values, texts, absent, tests = [] }) {
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
    return `thumbs/${setName(this.iteration)}/${String(number).padStart(4, "0")}.webp`;
  }

  picture(number) {
    return `pictures/${setName(this.iteration)}/${String(number).padStart(4, "0")}.png`;
  }
}

const sets = new Map();

async function sampleSet(iteration) {
  if (!sets.has(iteration)) {
    sets.set(iteration, load(setName(iteration)).then((data) => new SampleSet(data)));
  }
  return sets.get(iteration);
}

/* The summary, with what all parts of the page ask it. */
class Summary {
  constructor(data) {
    Object.assign(this, data);
    const [width, height] = data.size ?? [1, 1];
    this.aspect = height / width;
    this.isSmall = data.size !== null && Math.max(width, height) <= 128;
  }

  heading(iteration) {
    return this.iterations.find((each) => each.iteration === iteration).heading;
  }

  get hasBase() {
    return this.iterations[0].iteration === 0;
  }
}
