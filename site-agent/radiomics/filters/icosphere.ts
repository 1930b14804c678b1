import type { Vec3 } from '../../imaging/volume.js';

type Face = readonly [number, number, number];

const GOLDEN = (1 + Math.sqrt(5)) / 2;

/**
 * The vertices of an icosahedron whose faces were cut in four `subdivisions` times, pushed out to a sphere: 12, 42, 162, … of them, with
 * the icosahedron turned as in trimesh, whose order they do not keep.
 */
export function icosphere(subdivisions: number, radius: number): Vec3[] {
  let vertices: Vec3[] = [];
  for (const a of [-1, 1])
    for (const b of [-GOLDEN, GOLDEN]) {
      vertices.push([a, b, 0], [0, a, b], [b, 0, a]);
    }
  vertices = vertices.map((vertex) => pushed(vertex, radius));
  let faces = nearestTriples(vertices);
  for (let k = 0; k < subdivisions; k++) {
    const middles = new Map<string, number>();
    const middle = (i: number, j: number): number => {
      const key = i < j ? `${i},${j}` : `${j},${i}`;
      const known = middles.get(key);
      if (known !== undefined) return known;
      const [a, b] = [vertices[i]!, vertices[j]!];
      vertices.push(pushed([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2], radius));
      middles.set(key, vertices.length - 1);
      return vertices.length - 1;
    };
    faces = faces.flatMap(([a, b, c]): Face[] => {
      const [ab, bc, ca] = [middle(a, b), middle(b, c), middle(c, a)];
      return [
        [a, ab, ca],
        [ab, b, bc],
        [ca, bc, c],
        [ab, bc, ca],
      ];
    });
  }
  return vertices;
}

function pushed([x, y, z]: Vec3, radius: number): Vec3 {
  const length = Math.sqrt(x * x + y * y + z * z);
  return [(x / length) * radius, (y / length) * radius, (z / length) * radius];
}

/** The 20 faces: every three vertices that are all an edge apart. */
function nearestTriples(vertices: readonly Vec3[]): Face[] {
  const squared = (i: number, j: number): number => {
    const [a, b] = [vertices[i]!, vertices[j]!];
    return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]);
  };
  const edge = 1.1 * Math.min(...vertices.slice(1).map((_, k) => squared(0, k + 1)));
  const faces: Face[] = [];
  for (let a = 0; a < vertices.length; a++)
    for (let b = a + 1; b < vertices.length; b++)
      for (let c = b + 1; c < vertices.length; c++)
        if (squared(a, b) < edge && squared(b, c) < edge && squared(a, c) < edge) faces.push([a, b, c]);
  return faces;
}
