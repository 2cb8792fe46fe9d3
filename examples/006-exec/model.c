/* Distance that a projectile flies: one process for each task.
 *
 * windrow starts it as `projectile <speed> <angle>` in an empty directory and
 * reads result.json and path.npy from there. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = 32 };

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: projectile SPEED ANGLE\n");
    return 2;
  }
  const double speed = atof(argv[1]), angle = atof(argv[2]) * acos(-1) / 180;
  if (!(speed > 0)) {
    fprintf(stderr, "speed %s: must be positive\n", argv[1]);
    return 1;
  }
  const double flight = 2 * speed * sin(angle) / 9.81;
  double path[POINTS][2];
  for (int i = 0; i < POINTS; i++) {
    const double t = flight * i / (POINTS - 1);
    path[i][0] = speed * cos(angle) * t;
    path[i][1] = speed * sin(angle) * t - 9.81 / 2 * t * t;
  }

  /* numpy's format: magic, version 1.0, length of the header, header, data */
  char header[118];
  memset(header, ' ', sizeof header);
  const int n = snprintf(header, sizeof header, "{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 2), }", POINTS);
  header[n] = ' ';
  header[sizeof header - 1] = '\n';
  const unsigned char magic[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, sizeof header, 0};
  FILE *f = fopen("path.npy", "wb");
  if (!f || fwrite(magic, sizeof magic, 1, f) != 1 || fwrite(header, sizeof header, 1, f) != 1 ||
      fwrite(path, sizeof path, 1, f) != 1 || fclose(f) != 0) {
    perror("path.npy");
    return 1;
  }
  f = fopen("result.json", "w");
  if (!f || fprintf(f, "{\"range\": %.17g, \"path\": {\"$npy\": \"path.npy\"}}\n", speed * cos(angle) * flight) < 0 || fclose(f) != 0) {
    perror("result.json");
    return 1;
  }
  return 0;
}
