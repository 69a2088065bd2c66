/* What the processor offers beyond what the compiler was told. The answer costs a microsecond, in a virtual machine
 * more: ask once and keep it. */
#ifndef WI_BASE_CPU_H
#define WI_BASE_CPU_H

#include <stdbool.h>

/* AVX2 is there, and the system keeps its registers. False on all but x86-64. */
bool wi_cpu_has_avx2(void);

#endif
