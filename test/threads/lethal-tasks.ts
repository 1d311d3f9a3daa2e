/** A task file whose workers die, as the body of a job says. */
export default function deed({ job }: { readonly job: { readonly body: Uint8Array } }): string {
  const what = new TextDecoder().decode(job.body);
  if (what === "exit") process.exit(3);
  if (what === "hoard") {
    const hoarded: number[][] = [];
    for (;;) hoarded.push(Array.from({ length: 1_000_000 }, Math.random));
  }
  return what;
}
