"""What stock TensorBoard draws of the package's logs, looked at in a real browser.

    pytest tests/e2e                                 asserts
    pytest tests/e2e --pictures docs/pictures        and takes the README's pictures

Needs Chromium or Chrome on the PATH.
"""
