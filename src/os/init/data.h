/* data.h - the program tandem-init, as bytes (made by the build). */
#ifndef TANDEM_INIT_DATA_H
#define TANDEM_INIT_DATA_H

extern const char sandbox_init_data[], sandbox_init_end[];

#endif
