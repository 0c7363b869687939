// Carries the header that all tests share in precompiled form.
