/* SPDX-License-Identifier: MIT
 * Small files in which a system tells what it is. */
#ifndef LOSSFN_ENGINE_FILE_H
#define LOSSFN_ENGINE_FILE_H

#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

/* The beginning of a file as a text, by system calls alone: stdio would allocate. 0 where there is none. */
static inline int lossfn__read_text(const char *path, char *text, size_t cap) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t size = read(file, text, cap - 1);
    close(file);
    if (size < 0) return 0;
    text[size] = 0;
    return 1;
}

#endif
