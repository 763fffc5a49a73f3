#include "simd/math.h"
INLINE V v_lgamma1p(V y){return y;}
