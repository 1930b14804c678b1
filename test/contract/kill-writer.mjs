// Child of kill.test.ts: appends records and blobs for ever and prints each number once it is acknowledged. It runs the
// compiled stores given as arguments: node kill-writer.mjs <module> <export> <place>.
const [modulePath, exportName, place] = process.argv.slice(2);
const store = (await import(modulePath))[exportName](place);
for (let i = 0; ; i++) {
  const payload = Buffer.from(`record ${i} `.repeat(20));
  if ('append' in store)
    store.append([
      { study: 's', type: 't', payload },
      { study: 's', type: 'u', payload },
    ]);
  else store.putBlob(payload);
  process.stdout.write(`${i}\n`);
}
