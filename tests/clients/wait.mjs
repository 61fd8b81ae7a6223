// The one bounded wait that everything else is made of.

/** Rejects with `what` when `promise` is not settled after `deadline` ms. */
export function within(promise, deadline, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${deadline} ms: ${what}`)), deadline);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
