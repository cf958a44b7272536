// What a lane says of itself: one line for each step; the first failure ends it.
import assert from "node:assert/strict";

export const need = (name) => process.env[name] || assert.fail(`${name} is not set`);

let steps = 0;
export async function step(name, work) {
  const started = performance.now();
  try {
    const result = await work();
    console.log(`ok ${++steps} ${name} (${(performance.now() - started).toFixed(1)} ms)`);
    return result;
  } catch (error) {
    console.log(`not ok ${++steps} ${name}`);
    throw error;
  }
}

// refused expects an OAuth error answer with one of these codes.
export async function refused(work, ...codes) {
  const error = await work().then(() => assert.fail(`accepted, but should be refused with ${codes.join(" or ")}`), (e) => e);
  if (error instanceof assert.AssertionError) throw error;
  assert.ok(codes.includes(error.error), `refused with ${error.error ?? error}, not with ${codes.join(" or ")}`);
}

// passed says that it is over.
export const passed = () => console.log(`1..${steps} all steps passed`);
