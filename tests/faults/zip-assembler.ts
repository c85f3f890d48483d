import { crc32 } from "node:zlib";

/** An entry of a stored archive; whatever is given here besides name and data overrides what would be true. */
export interface ZipPart {
  name: string;
  data: Uint8Array;
  localName?: string;
  method?: number;
  flags?: number;
  crc32?: number;
  size?: number;
  storedSize?: number;
  localOffset?: number;
}

/** A zip archive byte by byte. `end` overrides fields of the record at its end. */
export function zipArchive(
  parts: ZipPart[],
  end: { count?: number; size?: number; offset?: number } = {},
): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let position = 0;
  for (const part of parts) {
    const { name, data, method = 0, flags = 0, size = data.byteLength, storedSize = size } = part;
    const checksum = part.crc32 ?? crc32(data);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(method, 8);
    local.writeUInt16LE(Buffer.byteLength(part.localName ?? name), 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(checksum, 16);
    central.writeUInt32LE(storedSize, 20);
    central.writeUInt32LE(size, 24);
    central.writeUInt16LE(Buffer.byteLength(name), 28);
    central.writeUInt32LE(part.localOffset ?? position, 42);
    locals.push(local, Buffer.from(part.localName ?? name), Buffer.from(data));
    directory.push(central, Buffer.from(name));
    position += 30 + Buffer.byteLength(part.localName ?? name) + data.byteLength;
  }
  const directoryBytes = Buffer.concat(directory);
  const tail = Buffer.alloc(22);
  tail.writeUInt32LE(0x06054b50, 0);
  tail.writeUInt16LE(end.count ?? parts.length, 8);
  tail.writeUInt16LE(end.count ?? parts.length, 10);
  tail.writeUInt32LE(end.size ?? directoryBytes.byteLength, 12);
  tail.writeUInt32LE(end.offset ?? position, 16);
  return Buffer.concat([...locals, directoryBytes, tail]);
}

/** What torch.save makes of this pickle and these storages. */
export const torchArchive = (pickle: Uint8Array, storages: Record<string, Uint8Array> = {}): Buffer =>
  zipArchive([
    { name: "model/data.pkl", data: pickle },
    ...Object.entries(storages).map(([key, data]) => ({ name: `model/data/${key}`, data })),
  ]);
