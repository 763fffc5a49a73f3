/* SPDX-License-Identifier: MIT */
#ifndef LOSSFN_ENGINE_WANT_H
#define LOSSFN_ENGINE_WANT_H

/* Which derivatives a kernel is asked for: none; grad[0]; that and hess; any of them. */
enum { LOSSFN__WANT_VALUE, LOSSFN__WANT_GRAD, LOSSFN__WANT_HESS, LOSSFN__WANT_ALL, LOSSFN__WANTS };

#endif
