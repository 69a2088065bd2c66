/* The processor's features, asked of itself: the compiler's own __builtin_cpu_supports needs a library's variables. */
#include "base/cpu.h"

#ifdef __x86_64__
#include <stdint.h>

/* Intel SDM volume 2, CPUID. */
#define LEAF1_ECX_OSXSAVE (UINT32_C(1) << 27)
#define LEAF1_ECX_AVX     (UINT32_C(1) << 28)
#define LEAF7_EBX_AVX2    (UINT32_C(1) << 5)
#define XCR0_XMM_YMM      UINT32_C(6)

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static struct cpuid cpuid(uint32_t leaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(0));
    return r;
}

static uint32_t xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

bool wi_cpu_has_avx2(void)
{
    const uint32_t avx = LEAF1_ECX_OSXSAVE | LEAF1_ECX_AVX;
    if (cpuid(0).eax < 7 || (cpuid(1).ecx & avx) != avx)
        return false;
    return (xcr0() & XCR0_XMM_YMM) == XCR0_XMM_YMM && (cpuid(7).ebx & LEAF7_EBX_AVX2);
}
#else
bool wi_cpu_has_avx2(void)
{
    return false;
}
#endif
